# Run by CPack over what it has gathered. CMake makes directories with the umask of whoever builds, whatever
# CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS says (as of 3.25), and packages remember it.
file(GLOB_RECURSE found LIST_DIRECTORIES true "${CPACK_TEMPORARY_DIRECTORY}/*")
foreach(path IN LISTS found)
  if(IS_DIRECTORY "${path}" AND NOT IS_SYMLINK "${path}")
    file(CHMOD "${path}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  endif()
endforeach()
