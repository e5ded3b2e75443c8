# cmake -DINPUT=FILE -DOUTPUT=FILE.c -DHEADER=folder/name.h -DNAME=name -P embed.cmake
# Writes a C file that defines name[] and name_size with the bytes of INPUT.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "(char)0x\\1, " bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"${HEADER}\"\n\nconst char ${NAME}[] = {\n${bytes}};\nconst size_t ${NAME}_size = sizeof(${NAME});\n")
