// A connection to Consul with nothing around it: a socket, written and read by one thread. The
// baselines use it, so that they are slowed down by nothing of ours.

import Foundation

/// What the benchmark cannot do, in words.
struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// One HTTP/1.1 connection, kept alive. Not for two threads at once.
final class KVConnection {
  struct Reply {
    let status: Int
    let body: [UInt8]
    /// X-Consul-Index.
    let index: UInt64

    var text: String { String(decoding: body, as: UTF8.self) }

    /// The number behind the first occurrence of a name; enough for the few fields read here.
    func number(_ name: String) -> UInt64? {
      guard let found = text.range(of: "\"\(name)\":") else { return nil }
      let rest = text[found.upperBound...].drop { $0 == " " || $0 == "\"" }
      return UInt64(rest.prefix { $0.isNumber })
    }

    /// A JSON list of strings without escapes, as lists of keys are.
    var strings: [Substring] {
      text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
        .filter { $0.offset % 2 == 1 }.map(\.element)
    }
  }

  private let address: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []

  /// Connects to `host:port`.
  init(_ address: String) throws {
    self.address = address
    let parts = address.split(separator: ":")
    guard parts.count == 2, let port = UInt16(parts[1]) else {
      throw BenchmarkError("\(address) is not HOST:PORT")
    }
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = port.bigEndian
    guard inet_pton(AF_INET, String(parts[0]), &place.sin_addr) == 1 else {
      throw BenchmarkError("\(parts[0]) is not an IPv4 address")
    }
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    var on: Int32 = 1
    setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    let isConnected = withUnsafePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected else {
      close(descriptor)
      throw BenchmarkError("no Consul at \(address)")
    }
  }

  deinit { close(descriptor) }

  /// Makes calls under way, and those to come, fail.
  func interrupt() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  func send(_ method: String, _ target: String, _ body: [UInt8] = []) throws -> Reply {
    let head =
      "\(method) \(target) HTTP/1.1\r\nHost: \(address)\r\nContent-Length: \(body.count)\r\n\r\n"
    var rest = (Array(head.utf8) + body)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw BenchmarkError("Consul closed a connection") }
      rest = rest.dropFirst(count)
    }
    return try reply()
  }

  /// Writes a key if it has the index; its new index, or nil if the race was lost.
  func compareAndSet(_ key: String, _ base64: String, index: UInt64) throws -> UInt64? {
    let body =
      #"[{"KV":{"Verb":"cas","Key":"\#(key)","Value":"\#(base64)","Index":\#(index)}}]"#
    let reply = try send("PUT", "/v1/txn", Array(body.utf8))
    if reply.status == 409 { return nil }
    guard reply.status == 200, let index = reply.number("ModifyIndex") else {
      throw BenchmarkError("a write of \(key) ended with \(reply.status) \(reply.text)")
    }
    return index
  }

  private func reply() throws -> Reply {
    let head = try line(endingWith: "\r\n\r\n").split(separator: "\r\n")
    let status = head.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    guard let status else { throw BenchmarkError("Consul answered without a status") }
    func field(_ name: String) -> String? {
      head.first { $0.lowercased().hasPrefix(name + ":") }
        .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
    }
    let index = field("x-consul-index").flatMap { UInt64($0) } ?? 0
    if let length = field("content-length").flatMap({ Int($0) }) {
      return Reply(status: status, body: try take(length), index: index)
    }
    var body: [UInt8] = []
    while let size = Int(try line(endingWith: "\r\n"), radix: 16) {
      body += try take(size)
      _ = try take(2)
      if size == 0 { break }
    }
    return Reply(status: status, body: body, index: index)
  }

  private func line(endingWith end: String) throws -> String {
    let end = Array(end.utf8)
    while true {
      if let range = buffer.firstRange(of: end) {
        let text = String(decoding: buffer[..<range.lowerBound], as: UTF8.self)
        buffer.removeFirst(range.upperBound)
        return text
      }
      try fill()
    }
  }

  private func take(_ count: Int) throws -> [UInt8] {
    while buffer.count < count { try fill() }
    defer { buffer.removeFirst(count) }
    return Array(buffer[..<count])
  }

  private func fill() throws {
    let more = [UInt8](unsafeUninitializedCapacity: 65_536) { bytes, count in
      count = max(0, read(descriptor, bytes.baseAddress, bytes.count))
    }
    guard !more.isEmpty else { throw BenchmarkError("Consul closed a connection") }
    buffer += more
  }
}
