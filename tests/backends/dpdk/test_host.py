"""A host from its start to its end, on virtual devices."""

import daemon


class Host(daemon.Case):
    def test_starts_serves_and_ends_on_sigterm(self):
        host = self.start_host()
        status = host.status()
        self.assertEqual(status["host"], "h1")
        self.assertEqual([port["name"] for port in status["ports"]], ["p0", "p1"])
        self.assertEqual(list(host.instances("forward")), ["forward.1"])
        host.stop()
        self.assertIn("problems=0", host.log)
        self.assertFalse(host.control.exists())

    def test_forwards_what_a_capture_brings(self):
        frames = [daemon.udp_frame(1000 + i) for i in range(100)]
        source = daemon.write_pcap(self.folder / "in.pcap", frames)
        sink = self.folder / "out.pcap"
        host = self.start_host(daemon.FORWARD_INLINE, {"p0": daemon.pcap_source(source),
                                                       "p1": f"net_pcap1,tx_pcap={sink}"})
        status = host.wait_until(lambda now: now["ports"][0]["received_packets"] == 100)
        self.assertEqual(status["drops"], {})
        host.stop()
        self.assertEqual([frame for _, frame in daemon.read_pcap(sink)], frames)

    def test_second_host_of_the_name_is_refused(self):
        first = self.start_host()
        second = self.spawn_host()
        self.assertEqual(second.wait_exit(), 3)
        self.assertIn(f"a host of this name runs already; got pid {first.pid}", second.log)
        first.stop()

    def test_leftovers_of_a_killed_host_do_not_block_the_next(self):
        first = self.start_host()
        first.kill()
        self.assertTrue(first.control.exists())
        self.start_host().stop()


if __name__ == "__main__":
    daemon.main()
