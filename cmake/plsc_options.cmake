# Warnings, sanitizers and include path shared by every target of the project.
add_library(plsc_options INTERFACE)
target_include_directories(plsc_options INTERFACE ${CMAKE_SOURCE_DIR}/include)
# -Wno-restrict: GCC 12 reports "literal" + std::string (GCC bug 105651).
target_compile_options(plsc_options INTERFACE -Wno-restrict -Wall -Wextra -Wpedantic $<$<BOOL:${PLSC_WERROR}>:-Werror>)

if(PLSC_SANITIZE)
  target_compile_options(plsc_options INTERFACE -fsanitize=${PLSC_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(plsc_options INTERFACE -fsanitize=${PLSC_SANITIZE})
endif()
