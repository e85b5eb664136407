# SPDX-License-Identifier: Apache-2.0
# Run by cpack between installing into its folders and packing them: what Debian asks of the files in a package.
file(GLOB compressed ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/man/man1/*.1
    ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/doc/*/changelog*)
list(FILTER compressed EXCLUDE REGEX "\\.gz$")
foreach(file ${compressed})
  execute_process(COMMAND gzip -9n ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
# The install rules strip programs and shared libraries only.
file(GLOB archives ${CPACK_TEMPORARY_DIRECTORY}/*/usr/lib/*.a ${CPACK_TEMPORARY_DIRECTORY}/*/usr/lib/*/*.a)
foreach(file ${archives})
  execute_process(COMMAND strip --strip-debug --enable-deterministic-archives --remove-section=.comment
      --remove-section=.note ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(GLOB objects ${CPACK_TEMPORARY_DIRECTORY}/*/usr/bin/* ${CPACK_TEMPORARY_DIRECTORY}/*/usr/lib/*.so.*.*.*
    ${CPACK_TEMPORARY_DIRECTORY}/*/usr/lib/*/*.so.*.*.* ${CPACK_TEMPORARY_DIRECTORY}/*/usr/lib/*/tact/*.so
    ${CPACK_TEMPORARY_DIRECTORY}/*/usr/lib/tact/*.so)
foreach(file ${objects})
  execute_process(COMMAND strip --strip-unneeded --remove-section=.comment --remove-section=.note ${file}
      COMMAND_ERROR_IS_FATAL ANY)
endforeach()
