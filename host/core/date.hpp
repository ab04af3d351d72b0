#pragma once

#include <string>

namespace melgrad {

// Now, in UTC, as "2025-01-31T12:00:00Z"; or the second that the environment variable SOURCE_DATE_EPOCH names
// (reproducible-builds.org), so that two runs can give the same bytes.
std::string utc_date();

}  // namespace melgrad
