# SPDX-License-Identifier: Apache-2.0
# Man pages and the shells' completions, which the program itself writes from its tables of flags: so they are not
# made where it does not run, when it is built for another machine and no emulator is set.
if(NOT TARGET tact)
  return()
endif()
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
  message(STATUS "no man pages and no completion: the program does not run here (CMAKE_CROSSCOMPILING_EMULATOR)")
  return()
endif()
set(TACT_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING "Where zsh's completion is installed")
set(shell_files)

# made_by_help(FILE ARGUMENT): build/FILE is what `tact help ARGUMENT` prints.
function(made_by_help file argument)
  set(path ${CMAKE_BINARY_DIR}/${file})
  add_custom_command(OUTPUT ${path}
      COMMAND tact help ${argument} > ${path}.part
      COMMAND ${CMAKE_COMMAND} -E rename ${path}.part ${path}
      DEPENDS tact COMMENT "Writing ${file}" VERBATIM)
  set(shell_files ${shell_files} ${path} PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/man ${CMAKE_BINARY_DIR}/completion)
set(pages ${CMAKE_BINARY_DIR}/man/tact.1)
made_by_help(man/tact.1 --man)
file(GLOB commands RELATIVE ${CMAKE_SOURCE_DIR}/src/cli CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/cmd_*.c)
foreach(command ${commands})
  string(REGEX REPLACE "cmd_(.*)\\.c" "\\1" command ${command})
  made_by_help(man/tact-${command}.1 --man=${command})
  list(APPEND pages ${CMAKE_BINARY_DIR}/man/tact-${command}.1)
endforeach()
foreach(shell bash zsh fish)
  made_by_help(completion/tact.${shell} --completion=${shell})
endforeach()
add_custom_target(shell_files ALL DEPENDS ${shell_files})

install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tact)
install(FILES ${CMAKE_BINARY_DIR}/completion/tact.bash RENAME tact COMPONENT tact
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${CMAKE_BINARY_DIR}/completion/tact.zsh RENAME _tact COMPONENT tact DESTINATION ${TACT_ZSH_DIR})
install(FILES ${CMAKE_BINARY_DIR}/completion/tact.fish COMPONENT tact
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
