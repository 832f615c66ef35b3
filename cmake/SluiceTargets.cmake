# How every target of Sluice is made, so that a folder's CMakeLists.txt says only what it is and what it may know.
#
#   sluice_library(NAME SOURCES a.cpp ... LINK sluice::packet ...)       one folder, one library, one arrow list
#   sluice_executable(NAME SOURCES main.cpp ... LINK ...)
#   sluice_test(NAME SOURCES a_test.cpp ... LINK ...)                    a gtest binary, its tests known to ctest

add_library(sluice_options INTERFACE)
add_library(sluice::options ALIAS sluice_options)
set_target_properties(sluice_options PROPERTIES EXPORT_NAME options)
target_compile_features(sluice_options INTERFACE cxx_std_20)
target_include_directories(sluice_options INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/sluice>)

# Private to our own targets: what a stranger who links sluice::nf must not inherit.
function(sluice_private_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    # GCC 12 is wrong about std::string at -O3: operator+ (GCC bug 105329), and strings in nested
    # aggregates (GCC bug 105562). Clang, ASan and UBSan look at the same code.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
    $<$<BOOL:${SLUICE_WERROR}>:-Werror>)
  if(SLUICE_SANITIZE)
    # -O1 -g1, after what the build type says: such a build takes half the time of one with -O2 -g.
    target_compile_options(${target} PRIVATE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all -O1 -g1)
    target_link_options(${target} PUBLIC -fsanitize=${SLUICE_SANITIZE})
  endif()
endfunction()

function(sluice_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  if(ARG_SOURCES)
    add_library(sluice_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(sluice_${name} PUBLIC sluice::options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
    sluice_private_options(sluice_${name})
  else()
    add_library(sluice_${name} INTERFACE)
    target_link_libraries(sluice_${name} INTERFACE sluice::options ${ARG_LINK})
  endif()
  set_target_properties(sluice_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(sluice::${name} ALIAS sluice_${name})
endfunction()

function(sluice_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sluice::options ${ARG_LINK})
  sluice_private_options(${name})
endfunction()

function(sluice_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  sluice_executable(${name} SOURCES ${ARG_SOURCES} LINK ${ARG_LINK} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE SLUICE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# sluice_patched(PATCH FILE RESULT): the path of a copy of FILE (from the root of the tree) with PATCH (from this folder)
# applied, at FILE's place in a folder named after the patch: for bugs that a checker must find. Linked before the library
# that has the file as it is, the copy is taken. A patch that no longer applies fails the build.
function(sluice_patched patch file result)
  find_program(PATCH_PROGRAM patch REQUIRED)
  get_filename_component(name ${patch} NAME_WE)
  set(original ${PROJECT_SOURCE_DIR}/${file})
  set(patched ${CMAKE_CURRENT_BINARY_DIR}/${name}/${file})
  get_filename_component(folder ${patched} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${patched}
    COMMAND ${PATCH_PROGRAM} --silent --batch --fuzz=0 --reject-file=- --output=${patched} ${original}
      ${CMAKE_CURRENT_SOURCE_DIR}/${patch}
    DEPENDS ${original} ${CMAKE_CURRENT_SOURCE_DIR}/${patch} VERBATIM)
  set(${result} ${patched} PARENT_SCOPE)
endfunction()
