# SPDX-License-Identifier: Apache-2.0
# tact_download: through libcurl. Without it pretrained weights have to be put in place by hand; tact says where.
pkg_check_modules(CURL IMPORTED_TARGET libcurl)
if(CURL_FOUND)
  file(GLOB sources CONFIGURE_DEPENDS src/download/curl/*.c)
  tact_module(tact_download SOURCES ${sources} LIBRARIES PkgConfig::CURL)
else()
  message(STATUS "no libcurl: nothing is downloaded")
endif()
