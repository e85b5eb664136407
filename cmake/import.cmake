# SPDX-License-Identifier: Apache-2.0
# tact_import: demonstrations in zarr and HDF5. Without it `tact import` explains itself.
option(TACT_IMPORT "Reading UMI's zarr and HDF5, where libhdf5, libblosc and libjxl are found" ON)
if(TACT_IMPORT)
  pkg_search_module(HDF5 IMPORTED_TARGET hdf5-serial hdf5)
  pkg_check_modules(BLOSC IMPORTED_TARGET blosc)
  pkg_check_modules(JXL IMPORTED_TARGET libjxl)
endif()
if(TACT_IMPORT AND HDF5_FOUND AND BLOSC_FOUND AND JXL_FOUND)
  file(GLOB sources CONFIGURE_DEPENDS src/import/*.c)
  list(FILTER sources INCLUDE REGEX "${TACT_IMPORT_FORMS}")
  # Not COMPRESSION, which has more than zarr uses.
  pkg_check_modules(ZARR REQUIRED IMPORTED_TARGET zlib libzstd liblz4)
  tact_module(tact_import SOURCES ${sources} src/import/archive.c src/formats/json_parse.c src/formats/json_bound.c src/formats/json_bytes.c src/image/image.c
      LIBRARIES PkgConfig::HDF5 PkgConfig::BLOSC PkgConfig::JXL PkgConfig::JANSSON PkgConfig::ZARR)
else()
  message(STATUS "no libhdf5, libblosc or libjxl, or TACT_IMPORT is off: zarr and HDF5 cannot be imported")
endif()
