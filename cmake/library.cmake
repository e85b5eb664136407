# SPDX-License-Identifier: Apache-2.0
# libtact: the runtime of include/tact.h. Both libraries are made of one object, into which the linker
# takes what the runtime needs of our folders, and in which everything but tact_* is then made local: a
# program that links libtact.a may have functions of the same names.
set(RUNTIME runtime policy model normalize pose config ops formats image base)
set(wanted)
foreach(part ${RUNTIME})
  list(APPEND wanted $<TARGET_FILE:${part}>)
endforeach()
set(object ${CMAKE_CURRENT_BINARY_DIR}/tact_object.o)
add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r -o ${object}.all
        $<TARGET_OBJECTS:runtime> --start-group ${wanted} --end-group
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=tact_* ${object}.all ${object}
    COMMAND ${CMAKE_COMMAND} -E rm ${object}.all
    DEPENDS ${RUNTIME} $<TARGET_OBJECTS:runtime>
    COMMENT "Joining libtact's objects" COMMAND_EXPAND_LISTS VERBATIM)

# What that object needs of the system: once as names, for tact.pc and the CMake package, and once as the files
# that were found here, for this build. tests/runtime/test_install.sh links a program with libtact.a and these.
set(TACT_LINK_NAMES dnnl ${OpenMP_C_LIB_NAMES} ${JANSSON_LIBRARIES} ${ZIP_LIBRARIES} ${CMAKE_DL_LIBS} m)
set(TACT_LINK_TARGETS ${DNNL_LIBRARY} OpenMP::OpenMP_C PkgConfig::JANSSON PkgConfig::ZIP ${CMAKE_DL_LIBS} m)

add_library(tact_shared SHARED ${object})
target_link_libraries(tact_shared PRIVATE ${TACT_LINK_TARGETS})
target_link_options(tact_shared PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/tact.map)
# Before 1.0 a minor version may break programs of the one before.
set_target_properties(tact_shared PROPERTIES OUTPUT_NAME tact EXPORT_NAME tact LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/tact.map)
add_library(tact_static STATIC ${object})
target_link_libraries(tact_static INTERFACE "$<BUILD_INTERFACE:${TACT_LINK_TARGETS}>"
    "$<INSTALL_INTERFACE:${TACT_LINK_NAMES}>")
set_target_properties(tact_static PROPERTIES OUTPUT_NAME tact LINKER_LANGUAGE C)
add_dependencies(tact_static tact_shared) # one of them makes the object
foreach(library tact_shared tact_static)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
# As find_package(tact) names them.
add_library(tact::tact ALIAS tact_shared)
add_library(tact::tact_static ALIAS tact_static)
