#pragma once
// What report.html carries along: it loads nothing.

namespace melgrad {

extern const char* const html_style;
extern const char* const html_script;

}  // namespace melgrad
