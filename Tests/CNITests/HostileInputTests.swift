// Whatever comes on standard input and in the environment, the answer is a reply with a code.

import AddressSpace
import CNI
import JSON
import Testing

struct HostileInputTests {
  /// Every key that is read, each with a valid value.
  static let input = """
    {"cniVersion": "1.1.0", "name": "net", "type": "bridge",
     "args": {"cni": {"ips": ["10.2.2.42/24", "2001:db8::5"], "mac": "02:00:00:00:00:01"}},
     "runtimeConfig": {"ips": ["10.1.0.9"], "mac": "02-00-00-00-00-02",
       "ipRanges": [[{"subnet": "10.7.0.0/24", "gateway": "10.7.0.1"}]]},
     "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}],
       "ip4": {"ip": "10.1.0.3/24"}},
     "cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}],
     "ipam": {"type": "consul", "backend": "consul", "subnet": "10.1.0.0/24",
       "range-start": "10.1.0.10", "rangeEnd": "10.1.0.20", "gateway": "10.1.0.1",
       "ranges": [[{"subnet": "2001:db8::/64"}], [{"subnet": "10.9.0.0/16"}]],
       "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400}],
       "resolvConf": "/etc/resolv.conf", "dataDir": "/tmp/x", "exclude": ["10.1.0.3-10.1.0.5"],
       "cooldown": "1m30s", "cooldownPolicy": "strict", "allowSmallSubnets": true,
       "chunkBits": 8, "unitPrefixLength": 32, "journal": 64, "searchOrder": "sequential", "sync": true,
       "node": "n1", "stateDir": "/var/lib/x", "timeout": 5, "logLevel": "debug",
       "logFile": "/var/log/x", "consul_addr": "127.0.0.1", "consul_port": "8500", "dc": "dc1",
       "token": "s3cret", "token_file": "/t", "scheme": "https", "ca_file": "/ca",
       "cert_file": "/cert", "key_file": "/key", "tls_server_name": "consul",
       "namespace": "ns", "partition": "p", "prefix": "pre", "consistency": "stale"}}
    """

  /// Reads everything there is to read; the codes of all errors met.
  static func codes(_ command: String, _ bytes: [UInt8], arguments: String = "") -> [Int] {
    var variables = goodEnvironment
    variables["CNI_COMMAND"] = command
    variables["CNI_ARGS"] = arguments
    let preparation = Skeleton.prepare(environment: variables, about: "", readInput: { bytes })
    guard case .perform(let invocation) = preparation else { return [-1] }
    let configuration = invocation.configuration
    let errors: [CNIError?] = [
      failure { try configuration.storeSettings() },
      failure { try configuration.poolSettings() },
      failure { try configuration.addressRequests(arguments: invocation.arguments()) },
      failure { try configuration.previousAddresses() },
      failure { try configuration.validAttachments() },
    ]
    return errors.compactMap { $0?.code.rawValue }
  }

  @Test func sampleIsValid() {
    #expect(Self.codes("GC", Array(Self.input.utf8)) == [])
  }

  /// Cut anywhere, it is no configuration at all.
  @Test func truncated() throws {
    let bytes = Array(Self.input.utf8)
    for length in 0..<bytes.count {
      let text = String(decoding: bytes[..<length], as: UTF8.self)
      let reply = try reply("ADD", text)
      let code = try meaning(reply.standardOutput)["code"]?.integer
      #expect(code == 6, "cut at \(length)")
    }
  }

  /// Each value replaced by one of another type: code 6 or 7, or it was not needed.
  @Test(arguments: ["null", "true", "1", "-1.5e300", "\"\"", "\"\\u0000\"", "[]", "[null]", "{}"])
  func mistyped(_ replacement: String) throws {
    let root = try JSONValue(parsing: Array(Self.input.utf8))
    let value = try JSONValue(parsing: Array(replacement.utf8))
    func variants(_ json: JSONValue) -> [JSONValue] {
      switch json {
      case .array(let elements):
        return [value]
          + elements.indices.flatMap { index in
            variants(elements[index]).map { changed in
              var copy = elements
              copy[index] = changed
              return .array(copy)
            }
          }
      case .object(let members):
        return [value]
          + members.indices.flatMap { index in
            variants(members[index].value).map { changed in
              var copy = members
              copy[index] = .init(members[index].key, changed)
              return .object(copy)
            }
          }
      default: return [value]
      }
    }
    let all = variants(root)
    #expect(all.count > 70)
    for variant in all {
      for code in Self.codes("GC", Array(variant.compact.utf8)) {
        #expect([-1, 6, 7].contains(code), "\(variant.compact)")
      }
    }
  }

  @Test func randomBytes() {
    var generator = SeededGenerator()
    let sample = Array(Self.input.utf8)
    for round in 0..<3_000 {
      var bytes = sample
      if round.isMultiple(of: 3) {
        bytes = (0..<Int.random(in: 0..<64, using: &generator)).map { _ in
          .random(in: 0...255, using: &generator)
        }
      } else {
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
          bytes[Int.random(in: 0..<bytes.count, using: &generator)] =
            .random(in: 0...255, using: &generator)
        }
      }
      let arguments = String(decoding: bytes.suffix(20), as: UTF8.self)
      for code in Self.codes("ADD", bytes, arguments: arguments) {
        #expect([-1, 4, 6, 7].contains(code), "seed \(seed), round \(round)")
      }
    }
  }

  /// No message and no dump of the settings shows the token.
  @Test func keepsTheToken() throws {
    let text = Self.input
    let configuration = try NetworkConfiguration(parsing: Array(text.utf8))
    let settings = try configuration.storeSettings()
    #expect(settings.consul.token == "s3cret")
    var dumped = ""
    dump(settings, to: &dumped)
    #expect(!dumped.contains("s3cret"))
    #expect(!"\(settings) \(settings.consul.debugDescription)".contains("s3cret"))

    for (text, message) in [
      (#"{"token": ["s3cret"]}"#, "ipam.token must be a string, not an array"),
      (#"{"TOKEN": 53}"#, "ipam.token must be a string, not a number"),
      (#"[{"token": "s3cret"}]"#, "ipam must be an object, not an array"),
    ] {
      let wrong = try NetworkConfiguration(
        parsing: Array(#"{"name": "net", "ipam": \#(text)}"#.utf8))
      #expect(failure { try wrong.storeSettings() } == CNIError(.decoding, message))
    }
  }

  @Test func cutsLongValues() throws {
    let long = String(repeating: "x", count: 1_000)
    let error = failure { try configuration(ipam: #""backend": "\#(long)""#).storeSettings() }
    #expect(try #require(error).message.count < 150)
  }
}
