# cmake -DOUTPUT=FILE -DSOURCE=DIR -DNS3=VERSION -P WriteCommit.cmake: the commit as a C++ file, touched only when it
# changed, so that a build with nothing to do does nothing.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=40
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[#include "sim/commit.hpp"

namespace sluice::sim {
const char* const kCommit = "@commit@";
const char* const kNs3Version = "@NS3@";
}  // namespace sluice::sim
]] @ONLY)
