// ICMP echo (RFC 792, RFC 4443), so that the tests need no ping installed.

import AddressSpace
internal import Glibc
internal import TestSupport

extension NetworkNamespace {
  /// Whether `address` answers an echo request sent from here. A few are sent, because a neighbour
  /// has to be found first and an IPv6 address is not usable at once.
  func reaches(_ address: String) async throws -> Bool {
    guard let target = try? IPAddress(parsing: address) else {
      throw TestSupportError("\(address) is not an address")
    }
    return try await inside {
      let echo = try Echo(target)
      for number in 1...20 {
        echo.send(UInt16(number))
        if echo.receive() { return true }
        usleep(100_000)
      }
      return false
    }
  }
}

/// A raw socket that sends echo requests to one address.
private final class Echo {
  private let socket: Int32
  private let isIPv4: Bool
  private let identifier = UInt16.random(in: 1...(.max))
  private var address = sockaddr_storage()
  private var length = socklen_t()

  init(_ target: IPAddress) throws {
    isIPv4 = target.family == .ipv4
    let number = Int32(isIPv4 ? IPPROTO_ICMP : 58)
    let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    socket = Glibc.socket(isIPv4 ? AF_INET : AF_INET6, type, number)
    guard socket >= 0 else { throw TestSupportError("no raw socket", errno) }
    var limit = timeval(tv_sec: 0, tv_usec: 500_000)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    withUnsafeMutablePointer(to: &address) { storage in
      if isIPv4 {
        storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          $0.pointee.sin_family = sa_family_t(AF_INET)
          inet_pton(AF_INET, target.description, &$0.pointee.sin_addr)
        }
        length = socklen_t(MemoryLayout<sockaddr_in>.size)
      } else {
        storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
          $0.pointee.sin6_family = sa_family_t(AF_INET6)
          inet_pton(AF_INET6, target.description, &$0.pointee.sin6_addr)
        }
        length = socklen_t(MemoryLayout<sockaddr_in6>.size)
      }
    }
  }

  deinit { close(socket) }

  /// Type, code, checksum, identifier, sequence. The kernel makes the checksum of ICMPv6.
  func send(_ sequence: UInt16) {
    var packet: [UInt8] = [isIPv4 ? 8 : 128, 0, 0, 0]
    for number in [identifier, sequence] { packet += [UInt8(number >> 8), UInt8(number & 0xff)] }
    if isIPv4 {
      var sum: UInt32 = 0
      for index in stride(from: 0, to: packet.count, by: 2) {
        sum += UInt32(packet[index]) << 8 | UInt32(packet[index + 1])
      }
      let checksum = ~UInt16(truncatingIfNeeded: (sum >> 16) + (sum & 0xffff))
      (packet[2], packet[3]) = (UInt8(checksum >> 8), UInt8(checksum & 0xff))
    }
    withUnsafePointer(to: &address) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = sendto(socket, packet, packet.count, 0, $0, length)
      }
    }
  }

  /// Whether one of our requests is answered within half a second.
  func receive() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 2048)
    while case let count = recv(socket, &buffer, buffer.count, 0), count > 0 {
      let header = isIPv4 ? Int(buffer[0] & 0xf) * 4 : 0  // a raw IPv4 socket shows it
      guard count >= header + 8 else { continue }
      let reply = buffer[header...]
      let echoed = UInt16(reply[header + 4]) << 8 | UInt16(reply[header + 5])
      if reply[header] == (isIPv4 ? 0 : 129) && echoed == identifier { return true }
    }
    return false
  }
}
