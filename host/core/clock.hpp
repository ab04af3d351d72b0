#pragma once

namespace melgrad {

// Seconds of CPU that all threads of this process have used.
double process_cpu_seconds();
// Seconds of CPU that the calling thread has used.
double thread_cpu_seconds();
// Seconds since some instant in the past; never goes back.
double wall_seconds();

}  // namespace melgrad
