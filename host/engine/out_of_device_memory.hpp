#pragma once
// An engine's memory does not hold what it was asked for: who asked may try again with less.

#include "host/core/error.hpp"

namespace melgrad {

class OutOfDeviceMemory : public Error {
 public:
  using Error::Error;
};

}  // namespace melgrad
