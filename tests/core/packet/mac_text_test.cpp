#include "core/packet/mac_text.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(MacText, IsReadAsItIsWritten) {
  const MacAddress mac{0x02, 0x0a, 0, 0xff, 0x10, 0x01};
  EXPECT_EQ(to_text(mac), "02:0a:00:ff:10:01");
  EXPECT_EQ(parse_mac(to_text(mac)).value(), mac);
}

TEST(MacText, RefusesWhatNoFrameCanBeSentTo) {
  EXPECT_EQ(*parse_mac("0a:1B:2c:3d:4e:5f"), (MacAddress{0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f}));
  for (const char* bad : {"", "0a:1b:2c:3d:4e", "0a:1b:2c:3d:4e:5g", "0a-1b-2c-3d-4e-5f",
                          "01:00:00:00:00:00", "00:00:00:00:00:00", "0a:1b:2c:3d:4e:5f:"}) {
    EXPECT_FALSE(parse_mac(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice
