# SPDX-License-Identifier: Apache-2.0
# What a wheel's package folder holds beside the Python files (pyproject.toml): the component "wheel".
# src/base/module.c finds the modules in lib/tact/ from program and library alike.
get_target_property(modules modules MANUALLY_ADDED_DEPENDENCIES)
# Libraries of folders that the loader does not know (another oneDNN, say) are found where they were found now.
set_target_properties(tact tact_shared ${modules} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS tact RUNTIME DESTINATION bin COMPONENT wheel)
# A wheel has no links, so the library is there once, under the name that programs load it by.
get_target_property(soversion tact_shared SOVERSION)
set_target_properties(tact_shared PROPERTIES VERSION ${soversion})
install(TARGETS tact_shared LIBRARY DESTINATION lib COMPONENT wheel NAMELINK_SKIP)
install(TARGETS ${modules} LIBRARY DESTINATION lib/tact COMPONENT wheel)
install(FILES include/tact.h DESTINATION include COMPONENT wheel)
