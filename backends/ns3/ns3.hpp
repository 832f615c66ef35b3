#pragma once

// The only place that includes ns-3: its headers do not pass our warnings, and ns3/core-module.h
// does not compile as C++20 on GCC 12, so the single headers stand here. Names clash (ns3::Packet
// is not sluice::Packet): never `using namespace ns3`.
#pragma GCC system_header

#include <ns3/address.h>
#include <ns3/application.h>
#include <ns3/arp-cache.h>
#include <ns3/boolean.h>
#include <ns3/callback.h>
#include <ns3/channel.h>
#include <ns3/config.h>
#include <ns3/csma-channel.h>
#include <ns3/csma-net-device.h>
#include <ns3/data-rate.h>
#include <ns3/drop-tail-queue.h>
#include <ns3/enum.h>
#include <ns3/event-id.h>
#include <ns3/global-value.h>
#include <ns3/inet-socket-address.h>
#include <ns3/internet-stack-helper.h>
#include <ns3/ipv4-address-helper.h>
#include <ns3/ipv4-interface-address.h>
#include <ns3/ipv4-interface.h>
#include <ns3/ipv4-l3-protocol.h>
#include <ns3/ipv4.h>
#include <ns3/loopback-net-device.h>
#include <ns3/mac48-address.h>
#include <ns3/net-device-container.h>
#include <ns3/net-device.h>
#include <ns3/node-container.h>
#include <ns3/node.h>
#include <ns3/nstime.h>
#include <ns3/object-factory.h>
#include <ns3/on-off-helper.h>
#include <ns3/packet-sink-helper.h>
#include <ns3/packet-sink.h>
#include <ns3/packet.h>
#include <ns3/point-to-point-channel.h>
#include <ns3/point-to-point-net-device.h>
#include <ns3/pointer.h>
#include <ns3/priority-queue-scheduler.h>
#include <ns3/rng-seed-manager.h>
#include <ns3/simulator.h>
#include <ns3/string.h>
#include <ns3/tcp-header.h>
#include <ns3/tcp-l4-protocol.h>
#include <ns3/tcp-socket-base.h>
#include <ns3/tcp-socket-factory.h>
#include <ns3/tcp-socket.h>
#include <ns3/trace-helper.h>
#include <ns3/trace-source-accessor.h>
#include <ns3/traced-callback.h>
#include <ns3/udp-socket-factory.h>
#include <ns3/uinteger.h>
