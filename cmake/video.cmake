# SPDX-License-Identifier: Apache-2.0
# tact_video: videos, PNG, JPEG and WebP through FFmpeg. Without it frames come from a filled frame cache only.
pkg_check_modules(FFMPEG IMPORTED_TARGET libavformat libavcodec libavutil libswscale)
if(FFMPEG_FOUND)
  file(GLOB sources CONFIGURE_DEPENDS src/formats/ffmpeg/*.c)
  tact_module(tact_video SOURCES ${sources} src/formats/video_table.c src/formats/video_tables.c
      LIBRARIES PkgConfig::FFMPEG)
else()
  message(STATUS "no FFmpeg: videos and images cannot be read")
endif()
