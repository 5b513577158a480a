# What is installed, and the packages that CPack makes of it.
#
# `cmake --install` puts the program, its units, manual and completion below its prefix; packages hold
# what belongs elsewhere, too (component "package"): /etc, documentation, rules and dashboards.
include(GNUInstallDirs)
set(PGTLS_PACKAGE prometheus-pgtls-exporter) # Debian's and openSUSE's habit
set(PGTLS_MAINTAINER "pgtls_exporter maintainers <maintainers@pgtls-exporter.example>" CACHE STRING
  "Who answers for the packages")
set(PGTLS_CONFIG_DIR /etc/pgtls_exporter) # whatever the prefix is
set(PGTLS_CONFIG_FILE "${PGTLS_CONFIG_DIR}/pgtls.yml")
set(packaging "${CMAKE_SOURCE_DIR}/packaging")
set(generated "${CMAKE_BINARY_DIR}/generated")

# --- printed from the tables in the code ----------------------------------------------------------

# printed(file page): `file` in the generated directory is what pgtls_docs prints for `page`.
function(printed file page)
  add_custom_command(OUTPUT "${generated}/${file}"
    COMMAND pgtls_docs ${page} > "${generated}/${file}" DEPENDS pgtls_docs VERBATIM)
endfunction()
# A manual page, compressed without its name and time.
function(manual file page)
  printed(${file} ${page})
  add_custom_command(OUTPUT "${generated}/${file}.gz"
    COMMAND gzip -9 -n -k -f "${generated}/${file}" DEPENDS "${generated}/${file}" VERBATIM)
endfunction()
manual(pgtls_exporter.8 man8)
manual(pgtls_exporter.yml.5 man5)
printed(completion.bash bash)
printed(completion.zsh zsh)
printed(completion.fish fish)
add_custom_target(printed ALL DEPENDS "${generated}/pgtls_exporter.8.gz" "${generated}/pgtls_exporter.yml.5.gz"
  "${generated}/completion.bash" "${generated}/completion.zsh" "${generated}/completion.fish")

# --- the program ----------------------------------------------------------------------------------

install(TARGETS pgtls_exporter RUNTIME DESTINATION bin)
install(FILES "${generated}/pgtls_exporter.8.gz" DESTINATION share/man/man8)
install(FILES "${generated}/pgtls_exporter.yml.5.gz" DESTINATION share/man/man5)
install(FILES "${generated}/completion.bash" DESTINATION share/bash-completion/completions RENAME pgtls_exporter)
install(FILES "${generated}/completion.fish" DESTINATION share/fish/vendor_completions.d
  RENAME pgtls_exporter.fish)
if(EXISTS /etc/debian_version) # each has its own place for what comes in packages
  install(FILES "${generated}/completion.zsh" DESTINATION share/zsh/vendor-completions RENAME _pgtls_exporter)
else()
  install(FILES "${generated}/completion.zsh" DESTINATION share/zsh/site-functions RENAME _pgtls_exporter)
endif()

# The unit names the program, and the prefix is known when it is installed. For tests there is one of
# the usual prefix. systemd looks below /usr/local/lib, too.
set(PGTLS_PREFIX /usr)
configure_file("${packaging}/systemd/pgtls_exporter.service.in" "${generated}/pgtls_exporter.service" @ONLY)
install(CODE "
  set(PGTLS_PREFIX \"\${CMAKE_INSTALL_PREFIX}\")
  set(PGTLS_CONFIG_FILE \"${PGTLS_CONFIG_FILE}\")
  configure_file(\"${packaging}/systemd/pgtls_exporter.service.in\" \"${generated}/installed/pgtls_exporter.service\" @ONLY)")
install(FILES "${generated}/installed/pgtls_exporter.service" "${packaging}/systemd/pgtls_exporter.socket"
  DESTINATION lib/systemd/system)

# --- packages only --------------------------------------------------------------------------------

set(package COMPONENT package EXCLUDE_FROM_ALL)
string(TIMESTAMP PGTLS_CHANGELOG_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, if set
configure_file("${packaging}/debian/changelog.in" "${generated}/changelog.Debian" @ONLY)
execute_process(COMMAND gzip -9 -n -k -f "${generated}/changelog.Debian" COMMAND_ERROR_IS_FATAL ANY)
set(PGTLS_DOC_DIR "share/doc/${PGTLS_PACKAGE}")
install(FILES "${CMAKE_SOURCE_DIR}/docs/examples/pgtls.yml" DESTINATION "${PGTLS_CONFIG_DIR}" ${package}
  RENAME pgtls.yml.example)
install(FILES "${packaging}/pgtls_exporter.default" DESTINATION /etc/default ${package} RENAME pgtls_exporter)
install(FILES "${packaging}/debian/copyright" DESTINATION "${PGTLS_DOC_DIR}" ${package})
install(FILES "${generated}/changelog.Debian.gz" DESTINATION "${PGTLS_DOC_DIR}" ${package})
install(FILES "${packaging}/debian/lintian-overrides" DESTINATION share/lintian/overrides ${package}
  RENAME ${PGTLS_PACKAGE})
install(FILES "${CMAKE_SOURCE_DIR}/README.md" DESTINATION "${PGTLS_DOC_DIR}" ${package})
install(DIRECTORY "${CMAKE_SOURCE_DIR}/docs" DESTINATION "${PGTLS_DOC_DIR}" ${package}
  FILES_MATCHING PATTERN "*.md" PATTERN "*.json" PATTERN "*.txt" PATTERN "*.yml" PATTERN images EXCLUDE)
install(DIRECTORY "${CMAKE_SOURCE_DIR}/alerts" "${CMAKE_SOURCE_DIR}/dashboards"
  DESTINATION share/pgtls_exporter ${package} FILES_MATCHING PATTERN "*.yml" PATTERN "*.json" PATTERN source EXCLUDE)

set(CPACK_PACKAGE_NAME ${PGTLS_PACKAGE})
set(CPACK_PACKAGE_VENDOR "pgtls_exporter maintainers")
set(CPACK_PACKAGE_CONTACT "${PGTLS_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Prometheus exporter for TLS access to PostgreSQL")
set(CPACK_PACKAGE_DESCRIPTION "Tells, for every PostgreSQL endpoint an application uses, whether a client can
get in over TLS right now, how long each step takes, and if not, which step
failed and why; when the certificates on the way expire; and how often a
server closes TLS connections. With alerts, dashboards and runbooks.")
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};pgtls_exporter;ALL;/;${CMAKE_BINARY_DIR};pgtls_exporter;package;/")
set(CPACK_SET_DESTDIR ON) # for /etc
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
# Directories as the umask of who builds has them would be shut to the service's user.
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_SOURCE_DIR}/cmake/OpenDirectories.cmake")
set(CPACK_GENERATOR DEB)
find_program(PGTLS_RPMBUILD rpmbuild)
if(PGTLS_RPMBUILD)
  list(APPEND CPACK_GENERATOR RPM)
endif()

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "init-system-helpers (>= 1.52)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${packaging}/debian/conffiles" "${packaging}/debian/postinst"
  "${packaging}/debian/prerm" "${packaging}/debian/postrm")

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
set(CPACK_RPM_PACKAGE_DESCRIPTION "${CPACK_PACKAGE_DESCRIPTION}")
set(CPACK_RPM_PACKAGE_GROUP System/Monitoring)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE "${packaging}/rpm/post")
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE "${packaging}/rpm/preun")
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE "${packaging}/rpm/postun")
set(CPACK_RPM_USER_FILELIST "%config(noreplace) /etc/default/pgtls_exporter"
  "%config(noreplace) /etc/pgtls_exporter/pgtls.yml.example" "%doc /usr/${PGTLS_DOC_DIR}/README.md"
  "%doc /usr/${PGTLS_DOC_DIR}/docs" "%license /usr/${PGTLS_DOC_DIR}/copyright")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc/default /usr/share/man /usr/share/man/man5
  /usr/share/man/man8 /usr/share/bash-completion /usr/share/bash-completion/completions /usr/share/fish
  /usr/share/fish/vendor_completions.d /usr/share/zsh /usr/share/zsh/vendor-completions
  /usr/share/zsh/site-functions /usr/lib/systemd /usr/lib/systemd/system)
# Built twice it is the same, byte for byte, with SOURCE_DATE_EPOCH.
set(CPACK_RPM_SPEC_MORE_DEFINE "%define _build_id_links none
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _buildhost reproducible
%define packager ${PGTLS_MAINTAINER}")
include(CPack)
