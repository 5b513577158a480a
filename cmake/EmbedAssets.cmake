# Run as a script: writes OUTPUT, the C table of FILES (separated by "|"), for src/expose/assets.h.
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")
string(REPLACE "|" ";" files "${FILES}")
set(bytes "")
set(rows "")
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME)
  get_filename_component(extension "${file}" LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 extension)
  string(MAKE_C_IDENTIFIER "${name}" identifier)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  file(SHA256 "${file}" id)
  string(SUBSTRING "${id}" 0 12 id)
  string(APPEND bytes "static const unsigned char ${identifier}[] = {\n${hex}};\n\n")
  string(APPEND rows
    "    {\"${name}\", \"${types_${extension}}\", \"${id}\", ${identifier}, sizeof ${identifier}},\n")
endforeach()
file(WRITE "${OUTPUT}" "/* Written by cmake/EmbedAssets.cmake. */\n#include \"assets.h\"\n\n#include <string.h>\n\n"
  "${bytes}static const struct asset assets[] = {\n${rows}};\n\n"
  "const struct asset *asset_find(const char *name)\n{\n"
  "    for (size_t i = 0; i < sizeof assets / sizeof *assets; i++) {\n"
  "        if (strcmp(assets[i].name, name) == 0)\n            return &assets[i];\n    }\n    return NULL;\n}\n")
