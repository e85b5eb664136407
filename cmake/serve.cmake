# SPDX-License-Identifier: Apache-2.0
# tact_serve: openpi's protocol through libwebsockets and msgpack-c. Without them `tact serve` explains itself.
option(TACT_SERVE "Serving policies, where libwebsockets and msgpack-c are found" ON)
if(TACT_SERVE)
  pkg_check_modules(WEBSOCKETS IMPORTED_TARGET libwebsockets>=4.1)
  pkg_search_module(MSGPACK IMPORTED_TARGET msgpack-c msgpack)
endif()
if(TACT_SERVE AND WEBSOCKETS_FOUND AND MSGPACK_FOUND)
  file(GLOB sources CONFIGURE_DEPENDS src/serve/openpi/*.c)
  tact_module(tact_serve SOURCES ${sources} LIBRARIES PkgConfig::WEBSOCKETS PkgConfig::MSGPACK Threads::Threads)
else()
  message(STATUS "no libwebsockets or msgpack-c, or TACT_SERVE is off: policies cannot be served")
endif()
