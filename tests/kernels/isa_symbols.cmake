# Fails when an object file of one instruction set defines a symbol outside its own namespace.
#
# The linker keeps one copy of a shared inline function, whichever it meets first. Were that the
# copy compiled for AVX-512, the program would stop with an illegal instruction on a processor
# without it. Run as
#   cmake -DNM=nm -DNAMESPACE=isa_avx2 "-DOBJECTS=a.o|b.o" -P isa_symbols.cmake
cmake_minimum_required(VERSION 3.25)

string(REPLACE "|" ";" objects "${OBJECTS}")
list(LENGTH objects num_objects)
if(num_objects EQUAL 0)
  message(FATAL_ERROR "no object files given")
endif()
set(foreign "")
set(num_symbols 0)
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} -C --defined-only --extern-only ${object}
                  OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE ";" ":" listing "${listing}")
  string(REPLACE "[" "(" listing "${listing}")
  string(REPLACE "]" ")" listing "${listing}")
  string(REPLACE "\n" ";" lines "${listing}")
  foreach(line IN LISTS lines)
    # The pointer to the exception personality is data; no instruction can hide in it.
    if(line STREQUAL "" OR line MATCHES " V DW\\.ref\\.__gxx_personality_v0$")
      continue()
    endif()
    math(EXPR num_symbols "${num_symbols} + 1")
    if(NOT line MATCHES "zeroth::${NAMESPACE}::")
      string(APPEND foreign "\n  ${line}")
    endif()
  endforeach()
endforeach()
if(num_symbols EQUAL 0)
  message(FATAL_ERROR "the object files define no symbols at all")
endif()
if(foreign)
  message(FATAL_ERROR "symbols outside zeroth::${NAMESPACE}:${foreign}")
endif()
message(STATUS "${num_symbols} symbols, all in zeroth::${NAMESPACE}")
