#include "host/engine/engine_choice.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

// N of "cuda:N"; nothing for "cuda".
std::optional<int> device_index(std::string_view device) {
  if (device == "cuda") return std::nullopt;
  const std::string_view digits = device.substr(std::min<std::size_t>(5, device.size()));
  int index = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (!device.starts_with("cuda:") || error != std::errc() || end != digits.data() + digits.size() ||
      index < 0)
    fail_usage("--device {}: not one of auto, cpu, cuda, cuda:N", device);
  return index;
}

// "cuda:0 and cuda:1"
std::string names(const std::vector<CudaDevice>& devices) {
  std::string text;
  for (std::size_t i = 0; i < devices.size(); ++i)
    text += fmt::format("{}cuda:{}",
                        i == 0                    ? ""
                        : i + 1 == devices.size() ? " and "
                                                  : ", ",
                        devices[i].index);
  return text;
}

const CudaDevice& first_usable(const CudaStatus& cuda) {
  return *std::ranges::find_if(cuda.devices, [](const CudaDevice& each) { return each.why_not.empty(); });
}

// The device that was named, which has to be usable.
const CudaDevice& named_device(std::optional<int> index, const CudaStatus& cuda) {
  if (!cuda.why_not.empty()) fail("{}", cuda.why_not);
  if (!index) return first_usable(cuda);
  const auto found = std::ranges::find(cuda.devices, *index, &CudaDevice::index);
  if (found == cuda.devices.end()) fail("there is no such device; there is {}", names(cuda.devices));
  if (!found->why_not.empty()) fail("{} is not usable: {}", found->name, found->why_not);
  return *found;
}

MadeEngine choose_automatically(const EngineMakers& makers) {
  const CudaStatus cuda = makers.cuda_status();
  if (!cuda.why_not.empty()) return {makers.cpu(), fmt::format("cpu, because {}", cuda.why_not), false};
  const CudaDevice& device = first_usable(cuda);
  try {
    const std::string others =
        cuda.devices.size() == 1 ? "" : fmt::format(", the first usable of {}", names(cuda.devices));
    return {makers.cuda(device.index), fmt::format("cuda:{}{}", device.index, others), false};
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    return {
        makers.cpu(),
        fmt::format("cpu, because cuda:{} ({}) cannot be used: {}", device.index, device.name, error.what()),
        true};
  }
}

}  // namespace

std::string device_of_process(std::string_view device, int local_index, const CudaStatus& cuda) {
  if (device != "auto" && device != "cuda") return std::string(device);
  std::vector<int> usable;
  for (const CudaDevice& each : cuda.devices)
    if (each.why_not.empty()) usable.push_back(each.index);
  if (!cuda.why_not.empty() || usable.empty()) return std::string(device);
  return fmt::format("cuda:{}", usable[static_cast<std::size_t>(local_index) % usable.size()]);
}

MadeEngine choose_engine(std::string_view device, const EngineMakers& makers) {
  if (device == "cpu") return {makers.cpu(), {}, false};
  if (device == "auto") return choose_automatically(makers);
  const std::optional<int> index = device_index(device);
  return with_context(fmt::format("--device {}", device), [&]() -> MadeEngine {
    return {makers.cuda(named_device(index, makers.cuda_status()).index), {}, false};
  });
}

}  // namespace melgrad
