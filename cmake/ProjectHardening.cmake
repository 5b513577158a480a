# Compiler and linker hardening, and the sanitizers of the asan, tsan and fuzz presets.
include(CheckPIESupported)
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(project_hardening INTERFACE)
if(PGTLS_SANITIZE)
  target_compile_options(project_hardening INTERFACE
    -fsanitize=${PGTLS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(project_hardening INTERFACE -fsanitize=${PGTLS_SANITIZE})
  # Compilers differ in what they define themselves (clang 14: nothing).
  target_compile_definitions(project_hardening INTERFACE PGTLS_SANITIZED)
else()
  target_compile_options(project_hardening INTERFACE
    -fstack-protector-strong -fstack-clash-protection
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  target_link_options(project_hardening INTERFACE -Wl,-z,relro,-z,now)
endif()
# Counters are the file's own pages from the start: they survive the sandbox, which lets no file be opened later, and
# a signal that ends the process. All processes of one program share a file.
if(PGTLS_COVERAGE)
  set(PGTLS_PROFILES "${CMAKE_BINARY_DIR}/profiles")
  target_compile_options(project_hardening INTERFACE
    "-fprofile-instr-generate=${PGTLS_PROFILES}/%m%c.profraw" -fcoverage-mapping
    "SHELL:-mllvm -runtime-counter-relocation")
  target_link_options(project_hardening INTERFACE -fprofile-instr-generate)
endif()
# The same source builds the same binary wherever it lies.
target_compile_options(project_hardening INTERFACE "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
