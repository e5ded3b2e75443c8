# The flags of every target. Warnings are errors: what is meant to be an exception says so where it stands.
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64 WATTPORT_VERSION="${PROJECT_VERSION}")
add_compile_options(
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
	-Wmissing-prototypes -Wformat=2 -Wvla -Wswitch-enum -Wcast-qual -Wundef -Werror)
include_directories(${PROJECT_SOURCE_DIR})
# gcc reports every snprintf() that could cut; where a cut matters the code checks the result.
add_compile_options($<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>)
