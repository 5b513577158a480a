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
# The same source builds the same binary wherever it lies.
target_compile_options(project_hardening INTERFACE "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
