# SPDX-License-Identifier: Apache-2.0
# cmake --install: the program, both libraries, the header, tact.pc, the CMake package, the Python package, examples;
# and the modules (cmake/modules.cmake), man pages and completion (cmake/shell.cmake). A component is a package of
# packaging/debian.cmake; what names none is for those who write programs with libtact.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME libtact_dev)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/tact)

install(TARGETS tact RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tact)
install(TARGETS tact_shared tact_static EXPORT tact
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libtact NAMELINK_COMPONENT libtact_dev
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libtact_dev)
install(FILES include/tact.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY python/libtact DESTINATION ${CMAKE_INSTALL_DATADIR}/tact/python
    FILES_MATCHING PATTERN *.py PATTERN py.typed PATTERN __pycache__ EXCLUDE)
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/tact/examples)

install(EXPORT tact NAMESPACE tact:: FILE tactTargets.cmake DESTINATION ${package})
file(WRITE ${CMAKE_BINARY_DIR}/tactConfig.cmake
    "include(\${CMAKE_CURRENT_LIST_DIR}/tactTargets.cmake)\n")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/tactConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/tactConfig.cmake ${CMAKE_BINARY_DIR}/tactConfigVersion.cmake
    DESTINATION ${package})

# tact.pc finds its files from its own place, whatever --prefix was.
file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(PC_LIBS_PRIVATE)
foreach(name ${TACT_LINK_NAMES})
  string(APPEND PC_LIBS_PRIVATE " -l${name}")
endforeach()
configure_file(cmake/tact.pc.in tact.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/tact.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
