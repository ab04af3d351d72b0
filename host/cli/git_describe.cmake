# Run at every build: SOURCE's `git describe`, or GIVEN if that is not empty, as a header. HEADER is left alone where
# nothing has changed.
cmake_minimum_required(VERSION 3.25)
set(git_describe "${GIVEN}")
if(git_describe STREQUAL "")
  execute_process(COMMAND git -C ${SOURCE} describe --always --tags --dirty OUTPUT_VARIABLE git_describe
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(git_describe "")
  endif()
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "inline constexpr const char* git_describe = R\"(@git_describe@)\";\n" @ONLY)
