# zeroth_embed(<target> HEADER <header> NAMESPACE <namespace> FILES <name> <file> [<name> <file> …])
# Compiles files into <target>: `std::string_view <namespace>::<name>()`, which <header> declares, is the content of
# <file>. The assembler copies the bytes (.incbin, g++ and clang alike), so a large file costs no compile time.
function(zeroth_embed target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADER;NAMESPACE" "FILES")
  string(MAKE_C_IDENTIFIER "${arg_NAMESPACE}" prefix)
  set(code "#include \"${arg_HEADER}\"\n")
  set(files)
  while(arg_FILES)
    list(POP_FRONT arg_FILES name file)
    get_filename_component(file "${file}" ABSOLUTE)
    list(APPEND files "${file}")
    set(symbol "${prefix}_${name}")
    string(APPEND code "
asm(R\"(
  .pushsection .rodata
  .global ${symbol}
  .hidden ${symbol}
  .global ${symbol}_end
  .hidden ${symbol}_end
${symbol}:
  .incbin \"${file}\"
${symbol}_end:
  .byte 0
  .popsection
)\");
extern \"C\" const char ${symbol}[];
extern \"C\" const char ${symbol}_end[];
std::string_view ${arg_NAMESPACE}::${name}() {
  return {${symbol}, ${symbol}_end};
}
")
  endwhile()
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${prefix}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "${code}" @ONLY)
  # The compiler does not see that the source depends on them.
  set_source_files_properties("${source}" PROPERTIES OBJECT_DEPENDS "${files}")
  target_sources(${target} PRIVATE "${source}")
endfunction()
