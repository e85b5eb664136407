# SPDX-License-Identifier: Apache-2.0
# The pages that tact writes, each an array of C that is made anew when a file of it changes: the page's HTML with
# the style and the script that all of them share.
set(PAGE_PARTS ${CMAKE_CURRENT_LIST_DIR}/../src/report/page)
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${HTML} page)
  foreach(name style.css page.js curves.js) # where a page has its name between two @
    file(READ ${PAGE_PARTS}/${name} part)
    string(REPLACE "@${name}@" "${part}" page "${page}")
  endforeach()
  file(WRITE ${OUT}.html "${page}")
  file(READ ${OUT}.html bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(WRITE ${OUT} "extern const unsigned char ${NAME}[];\nconst unsigned char ${NAME}[] = {\n${bytes}0};\n")
  return()
endif()

# page(FOLDER NAME HTML): src/HTML becomes the array NAME in the library of src/FOLDER/.
function(page folder name html)
  set(html ${CMAKE_SOURCE_DIR}/src/${html})
  set(out ${CMAKE_BINARY_DIR}/generated/${name}.c)
  add_custom_command(OUTPUT ${out}
      COMMAND ${CMAKE_COMMAND} -DHTML=${html} -DOUT=${out} -DNAME=${name} -P ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
      DEPENDS ${html} ${PAGE_PARTS}/style.css ${PAGE_PARTS}/page.js ${PAGE_PARTS}/curves.js ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
      COMMENT "The page ${name} as a C array" VERBATIM)
  target_sources(${folder} PRIVATE ${out})
endfunction()
page(eval eval_page eval/report/report.html)
page(report runs_page report/page/runs.html)
page(check check_page check/page/check.html)
