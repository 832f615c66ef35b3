# What `cmake --install` puts where, and the CMake package `sluice` through which a stranger links it:
#
#   find_package(sluice REQUIRED)
#   target_link_libraries(my-function PRIVATE sluice::nf)
#
# The deployment file's parser and the simulator are programs, not libraries, to the outside: their
# dependencies (yaml-cpp, ns-3) must not become those of every NF.

include(CMakePackageConfigHelpers)

# All that an NF author needs: the NF interface, packets and headers, rings, flow keys, and what makes
# a program an instance of a host.
add_library(sluice_nf INTERFACE)
add_library(sluice::nf ALIAS sluice_nf)
set_target_properties(sluice_nf PROPERTIES EXPORT_NAME nf)
target_link_libraries(sluice_nf INTERFACE
  sluice::options sluice::base sluice::packet sluice::ring sluice::flow sluice::function sluice::process)

set(sluice_installed_libraries sluice_options sluice_nf)
foreach(name base packet ring flow encapsulation chain function functions host process scaling)
  if(TARGET sluice_${name})
    list(APPEND sluice_installed_libraries sluice_${name})
  endif()
endforeach()

set(sluice_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/sluice)
# For NF authors alone: cmake --install BUILD --component development
install(TARGETS ${sluice_installed_libraries} EXPORT sluice
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(EXPORT sluice NAMESPACE sluice:: DESTINATION ${sluice_package_dir} FILE sluiceTargets.cmake
  COMPONENT development)
install(DIRECTORY core DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sluice COMPONENT development
  FILES_MATCHING PATTERN "*.hpp" PATTERN deployment EXCLUDE)
install(DIRECTORY backends/process DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sluice/backends COMPONENT development
  FILES_MATCHING PATTERN "*.hpp")
install(FILES scaling/autoscaler.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sluice/scaling
  COMPONENT development)

configure_package_config_file(cmake/sluiceConfig.cmake.in ${PROJECT_BINARY_DIR}/sluiceConfig.cmake
  INSTALL_DESTINATION ${sluice_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sluiceConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/sluiceConfig.cmake ${PROJECT_BINARY_DIR}/sluiceConfigVersion.cmake
  DESTINATION ${sluice_package_dir} COMPONENT development)

# Every executable outside tests/ is a program of ours: `sluice` goes to bin, `sluice-VERB`, which only
# `sluice` starts, to libexec (as git does it).
function(sluice_collect_programs directory result)
  get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
  get_property(folders DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
  set(found)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "EXECUTABLE" AND target MATCHES "^sluice(-[a-z0-9]+)?$")
      list(APPEND found ${target})
    endif()
  endforeach()
  foreach(folder IN LISTS folders)
    if(NOT folder STREQUAL "${PROJECT_SOURCE_DIR}/tests")
      sluice_collect_programs(${folder} below)
      list(APPEND found ${below})
    endif()
  endforeach()
  set(${result} ${found} PARENT_SCOPE)
endfunction()

sluice_collect_programs(${PROJECT_SOURCE_DIR} sluice_programs)
add_custom_target(programs)  # What ./run and ./sluice build: no test, no benchmark.
foreach(program IN LISTS sluice_programs)
  add_dependencies(programs ${program})
  if(program STREQUAL "sluice")
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  else()
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sluice)
  endif()
endforeach()

# Programs that are scripts: beside the others in bin/, where `sluice` looks first.
foreach(script cli/plot/sluice-plot cli/testbed/sluice-testbed)
  get_filename_component(name ${script} NAME)
  configure_file(${PROJECT_SOURCE_DIR}/${script} ${PROJECT_BINARY_DIR}/bin/${name} COPYONLY)
  install(PROGRAMS ${script} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sluice)
endforeach()
# And what a script is made of, beside it.
file(GLOB testbed_modules CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/cli/testbed
  cli/testbed/sluice_testbed/*.py)
foreach(module IN LISTS testbed_modules)
  configure_file(cli/testbed/${module} ${PROJECT_BINARY_DIR}/bin/${module} COPYONLY)
endforeach()
install(DIRECTORY cli/testbed/sluice_testbed DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sluice
  FILES_MATCHING PATTERN "*.py")
