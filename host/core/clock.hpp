#pragma once

namespace melgrad {

// Seconds of CPU that all threads of this process have used.
double process_cpu_seconds();
// Seconds since some instant in the past; never goes back.
double wall_seconds();

}  // namespace melgrad
