# SPDX-License-Identifier: Apache-2.0
# src/eval/report/report.html as the array report_template of C, made anew when the file changes.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${HTML} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(WRITE ${OUT} "extern const unsigned char report_template[];\nconst unsigned char report_template[] = {\n${bytes}0};\n")
else()
  set(REPORT_HTML ${CMAKE_SOURCE_DIR}/src/eval/report/report.html)
  set(REPORT_C ${CMAKE_BINARY_DIR}/generated/report_template.c)
  add_custom_command(OUTPUT ${REPORT_C}
      COMMAND ${CMAKE_COMMAND} -DHTML=${REPORT_HTML} -DOUT=${REPORT_C} -P ${CMAKE_CURRENT_LIST_FILE}
      DEPENDS ${REPORT_HTML} ${CMAKE_CURRENT_LIST_FILE} COMMENT "The report's page as a C array" VERBATIM)
  target_sources(eval PRIVATE ${REPORT_C})
endif()
