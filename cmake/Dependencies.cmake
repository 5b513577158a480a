# Every library the exporter links, and nothing else; docs/dependencies.md says why each is there.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv>=1.40)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares>=1.18)
pkg_check_modules(FYAML REQUIRED IMPORTED_TARGET libfyaml>=0.7)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(MHD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75)
pkg_check_modules(GNUTLS REQUIRED IMPORTED_TARGET gnutls>=3.7.4)
pkg_check_modules(CRYPT REQUIRED IMPORTED_TARGET libxcrypt>=4.4)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.87)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal>=2.30)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)
find_program(PROTOC_C protoc-c REQUIRED)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq>=15)

add_library(pgtls_dependencies INTERFACE)
target_link_libraries(pgtls_dependencies INTERFACE
  OpenSSL::SSL OpenSSL::Crypto Threads::Threads m
  PkgConfig::LIBUV PkgConfig::CARES PkgConfig::FYAML PkgConfig::JANSSON PkgConfig::MHD
  PkgConfig::GNUTLS PkgConfig::CRYPT
  PkgConfig::CURL PkgConfig::ISAL PkgConfig::PROTOBUF_C PkgConfig::SECCOMP PkgConfig::LIBPQ)
