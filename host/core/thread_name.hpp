#pragma once

#include <string>

namespace melgrad {

// What debuggers, `top -H` and profilers call the calling thread: the first 15 bytes, more the kernel does
// not keep.
void name_this_thread(const std::string& name);

}  // namespace melgrad
