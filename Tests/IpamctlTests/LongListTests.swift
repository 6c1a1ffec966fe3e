import TestSupport
import Testing

/// Many leases, listed in little memory, with few requests and little more on the wire than one GET of
/// all has. The times are `make bench-check`'s to hold.
@Suite(.needsConsul) struct LongListTests {
  private static let count = 100_000

  @Test func whatALongListingCosts() async throws {
    let bench = try await Bench()
    try await bench.succeeds("network", "create", "net", "--subnet", "10.0.0.0/8")
    try await bench.succeeds("lease", "acquire", "net", "--container", "c", "--node", "n")
    let few = try await listed(bench)
    #expect(few.lines == 2)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for start in stride(from: 1, through: Self.count, by: 64) {
        group.addTask { try bench.putLeases(start..<min(start + 64, Self.count + 1)) }
      }
      try await group.waitForAll()
    }
    let relay = try CountingRelay(bench.consul)
    let many = try await listed(bench, at: relay.address)
    #expect(many.lines == Self.count + 2)
    // The definition, the names, and a page for each 4,096 of a last digit but four: 25. The names are
    // a sixth of what they name.
    #expect(relay.requests <= 32, "\(relay.requests) requests")
    let all = try bench.consul.request("GET", bench.key("net/addresses/?recurse")).body.utf8.count
    #expect(relay.replied * 4 <= all * 5, "\(relay.replied) bytes, one GET of all has \(all)")
    // The names, three pages and the rows: 10 + 12 + 17 MB. All values at once are 60 MB in the
    // answer alone, and three times that when they are read.
    #expect(many.peak < 200 << 10, "\(many.peak) KiB for \(Self.count) leases")
    let growth = many.peak - few.peak
    #expect(growth < 128 << 10, "\(growth) KiB more for \(Self.count) leases than for one")
  }

  /// The lines of a listing and the most memory that it had, in KiB.
  private func listed(
    _ bench: Bench, at address: String? = nil
  ) async throws -> (lines: Int, peak: Int) {
    let output = bench.folder.path + "/listed-\(UInt64.random(in: 0...(.max)))"
    let child = try await ChildProcess.start(
      [
        program("ipamctl", "CNI_IPAM_CTL"), "lease", "list", "net", "--consul",
        address ?? bench.consul.address, "--consul-prefix", bench.prefix,
      ], output: output)
    var peak = 0
    while child.isRunning {
      peak = max(peak, Self.highWater(child.pid) ?? 0)
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(await child.ended() == 0)
    let lines = try readFile(output).count { $0 == UInt8(ascii: "\n") }
    return (lines, peak)
  }

  private static func highWater(_ pid: Int32) -> Int? {
    guard let status = try? readFile("/proc/\(pid)/status") else { return nil }
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("VmHWM:") }
    return line?.split { !$0.isNumber }.first.flatMap { Int($0) }
  }
}

extension Bench {
  /// Writes leases of 10.0.0.0/8, by the numbers of their addresses, in one transaction.
  fileprivate func putLeases(_ numbers: Range<Int>) throws {
    let operations = numbers.map { number in
      let hex = String(0x0a00_0000 + 256 + number, radix: 16)
      let lease =
        #"{"attachment":{"node":"n","container":"\#(hex)\#(hex)\#(hex)\#(hex)","interface":"eth0"},"#
        + #""node":{"name":"n","instance":"0123456789abcdef0123456789abcdef","bootID":"b"},"#
        + #""nonce":"00000000\#("0" + hex.suffix(7))","createdAt":1700000000}"#
      return #"{"KV":{"Verb":"set","Key":"\#(prefix)/net/addresses/0\#(hex)","#
        + #""Value":"\#(base64(Array(lease.utf8)))"}}"#
    }
    let reply = try consul.request(
      "PUT", "/v1/txn", body: "[" + operations.joined(separator: ",") + "]")
    guard reply.status == 200 else { throw TestSupportError("\(reply)") }
  }
}

private func base64(_ bytes: [UInt8]) -> String {
  let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  var text: [UInt8] = []
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let part = bytes[start..<min(start + 3, bytes.count)]
    let bits = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - part.count))
    for index in 0..<4 {
      text.append(
        index <= part.count
          ? digits[Int(bits >> UInt32(18 - 6 * index) & 63)] : UInt8(ascii: "="))
    }
  }
  return String(decoding: text, as: UTF8.self)
}
