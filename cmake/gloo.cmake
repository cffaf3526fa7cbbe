# gloo::gloo, Debian's shared library of Gloo (libgloo-dev). Its own package files name an absolute path of one build
# type and no namespace.
find_path(GLOO_INCLUDE_DIR gloo/allreduce.h REQUIRED)
find_library(GLOO_LIBRARY gloo REQUIRED)
add_library(gloo::gloo UNKNOWN IMPORTED)
set_target_properties(gloo::gloo PROPERTIES IMPORTED_LOCATION ${GLOO_LIBRARY}
                      INTERFACE_INCLUDE_DIRECTORIES ${GLOO_INCLUDE_DIR})
