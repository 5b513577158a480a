# Warnings as an interface target, so that nothing outside the project inherits them.
add_library(project_warnings INTERFACE)
target_compile_options(project_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wformat=2 -Wvla -Wundef -Wcast-qual
  -Wwrite-strings -Wnull-dereference -Wpointer-arith
  -Werror=implicit -Werror=return-type -Werror=incompatible-pointer-types
  -Werror=int-conversion -Werror=format
  "$<$<C_COMPILER_ID:GNU>:-Wduplicated-cond;-Wduplicated-branches;-Wlogical-op>"
  "$<$<C_COMPILER_ID:Clang>:-Wmissing-variable-declarations;-Wno-gnu-zero-variadic-macro-arguments>")
