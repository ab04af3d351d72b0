// What is said of the machine's CUDA devices, for every kind of machine.

#include "kernels/cuda_devices.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "session.hpp"

namespace melgrad::emulated {
namespace {

using emulation::DeviceModel;
using emulation::DriverModel;
using emulation::Session;

CudaStatus status_of(const DriverModel& driver, const DeviceModel& device = {}) {
  Session session({.device = device, .driver = driver});
  CudaStatus status = list_devices();
  session.finish();
  return status;
}

}  // namespace

TEST_SUITE("kernels_devices") {
  TEST_CASE("devices are listed with what people look for, and nothing says that they are not usable") {
    const DeviceModel h100 = {.name = "NVIDIA H100 80GB HBM3",
                              .major = 9,
                              .minor = 0,
                              .multiprocessors = 132,
                              .memory = std::size_t{80'000'000'000}};
    const DeviceModel slice = {.name = "NVIDIA A100-SXM4-40GB MIG 1g.5gb", .major = 8, .minor = 0};
    const CudaStatus status = status_of({.version = 13010, .other_devices = {slice}}, h100);
    CHECK(status.why_not == "");
    CHECK(status.driver_version == 13010);
    CHECK(status.runtime_version == 13000);
    REQUIRE(status.devices.size() == 2);
    CHECK(to_text(status.devices[0]) ==
          "cuda:0: NVIDIA H100 80GB HBM3, compute capability 9.0, 132 multiprocessors, 80.0 GB");
    CHECK(status.devices[0].uuid == "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f");
    CHECK(!status.devices[0].is_mig);
    CHECK(status.devices[1].is_mig);
    CHECK(status.devices[1].uuid == "MIG-10111213-1415-1617-1819-1a1b1c1d1e1f");
  }

  TEST_CASE("a machine without a driver says so, and what to do in a container") {
    const CudaStatus status = status_of({.version = 0});
    CHECK(status.why_not.find("libcuda.so.1 was not found; in a container, start it with --gpus all") !=
          std::string::npos);
    CHECK(status.devices.empty());
    CHECK(status.runtime_version == 13000);
  }

  TEST_CASE("a driver without a GPU says so, and names CUDA_VISIBLE_DEVICES where it is set") {
    CHECK(status_of({.has_device = false}).why_not == "the NVIDIA driver sees no GPU");
    setenv("CUDA_VISIBLE_DEVICES", "7", 1);
    const CudaStatus status = status_of({.has_device = false});
    unsetenv("CUDA_VISIBLE_DEVICES");
    CHECK(status.why_not == "the NVIDIA driver sees no GPU; CUDA_VISIBLE_DEVICES is '7'");
  }

  TEST_CASE(
      "a driver that is too old is named with both versions, and an older minor version is not too old") {
    const std::string why = status_of({.version = 12080}).why_not;
    CHECK_MESSAGE(
        why.find("knows CUDA up to 12.8, and this program was built with 13.0: install a newer driver") !=
            std::string::npos,
        why);
    CHECK(status_of({.version = 13000, .runtime_version = 13010}).why_not == "");
  }

  TEST_CASE("a device of too low a compute capability is listed with the reason; others stay usable") {
    const DeviceModel pascal = {.name = "NVIDIA GeForce GTX 1080", .major = 6, .minor = 1};
    const DeviceModel turing = {.name = "Tesla T4", .major = 7, .minor = 5};
    const CudaStatus one = status_of({}, pascal);
    CHECK(one.why_not.starts_with("no device is usable: cuda:0: NVIDIA GeForce GTX 1080"));
    CHECK(one.why_not.ends_with("its compute capability is 6.1, and 7.5 is the least"));
    const CudaStatus two = status_of({.other_devices = {turing}}, pascal);
    CHECK(two.why_not == "");
    CHECK(!two.devices[0].why_not.empty());
    CHECK(two.devices[1].why_not.empty());
  }

  TEST_CASE("an error of any call is told in CUDA's words, and none goes on to the next call") {
    for (int call = 1; call <= 4; ++call) {
      Session session({.fail_call = call});
      const CudaStatus status = list_devices();
      CAPTURE(call);
      CHECK_MESSAGE(status.why_not.find("CUDA says unknown error (cudaErrorUnknown)") != std::string::npos,
                    status.why_not);
      session.finish();
    }
  }

  TEST_CASE("the driver's release is read from the kernel module's line, proprietary or open") {
    CHECK(
        driver_release("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Mon Jul 14\nGCC version: "
                       "gcc version 12.2.0\n") == "580.65.06");
    CHECK(
        driver_release("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build") ==
        "570.86.10");
    CHECK(driver_release("") == "");
    CHECK(driver_release("NVRM version: none\nGCC version: 12.2.0") == "");
  }
}

}  // namespace melgrad::emulated
