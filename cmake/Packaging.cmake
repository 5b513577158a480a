# What is installed, and where.
include(GNUInstallDirs)
set(PGTLS_CONFIG_DIR "${CMAKE_INSTALL_FULL_SYSCONFDIR}/pgtls_exporter")
set(PGTLS_CONFIG_FILE "${PGTLS_CONFIG_DIR}/pgtls.yml")
set(PGTLS_PACKAGING "${CMAKE_SOURCE_DIR}/packaging")

install(TARGETS pgtls_exporter RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

# systemd looks below /usr/local/lib, too.
configure_file("${PGTLS_PACKAGING}/systemd/pgtls_exporter.service.in"
  "${CMAKE_BINARY_DIR}/generated/pgtls_exporter.service" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/generated/pgtls_exporter.service"
  "${PGTLS_PACKAGING}/systemd/pgtls_exporter.socket" DESTINATION lib/systemd/system)
