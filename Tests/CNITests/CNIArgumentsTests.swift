// The rows of cni.md 1.7 and 2.5, checked against runs of the reference.

import AddressSpace
import CNI
import JSON
import Testing

struct CNIArgumentsTests {
  static let refused: [(String, String)] = [
    ("FOO", #"invalid pair "FOO""#),
    ("IP=10.1.0.9;", #"invalid pair """#),
    (";", #"invalid pair """#),
    ("a=b=c", #"invalid pair "a=b=c""#),
    ("IgnoreUnknown=1;FOO", #"invalid pair "FOO""#),
    ("FOO=BAR", #"unknown args ["FOO=BAR"]"#),
    ("FOO=BAR;A=B", #"unknown args ["FOO=BAR" "A=B"]"#),
    ("ip=10.1.0.9", #"unknown args ["ip=10.1.0.9"]"#),
    ("=x", #"unknown args ["=x"]"#),
    ("=", #"unknown args ["="]"#),
    ("IgnoreUnknown=0;FOO=1", #"unknown args ["FOO=1"]"#),
    ("FOO=\"x\ty\u{e9}\u{200b}\\\u{1}", #"unknown args ["FOO=\"x\tyé\u200b\\\x01"]"#),
    (
      "IgnoreUnknown=yes",
      #"error parsing value of pair "IgnoreUnknown=yes": "#
        + "boolean unmarshal error: invalid input yes"
    ),
    (
      "IgnoreUnknown=",
      #"error parsing value of pair "IgnoreUnknown=": boolean unmarshal error: invalid input "#
    ),
    ("IP=zz", #"error parsing value of pair "IP=zz": invalid IP address zz"#),
    (
      "IP=1.1.1.1/33",
      #"error parsing value of pair "IP=1.1.1.1/33": invalid IP address 1.1.1.1/33"#
    ),
    ("IP=010.1.0.9", #"error parsing value of pair "IP=010.1.0.9": invalid IP address 010.1.0.9"#),
    ("IP= 10.1.0.9", #"error parsing value of pair "IP= 10.1.0.9": invalid IP address  10.1.0.9"#),
    ("IgnoreUnknown=1;MAC=zz", #"error parsing value of pair "MAC=zz": invalid MAC address zz"#),
  ]

  @Test(arguments: refused)
  func refuses(_ text: String, _ message: String) {
    let error = failure { try CNIArguments(parsing: text) }
    #expect(error == CNIError(.environment, "ARGS: \(message)", details: "in CNI_ARGS"))
  }

  static let addresses: [(String, String?)] = [
    ("", nil),
    ("IP=", nil),
    ("IP=10.1.0.9", "10.1.0.9"),
    ("IP=10.1.0.9/8", "10.1.0.9"),
    ("IP=10.1.0.9;IP=10.1.0.10", "10.1.0.10"),
    ("IP=10.1.0.9;IP=", nil),
    ("IP=2001:DB8::1/64", "2001:db8::1"),
    ("IP=::ffff:10.1.0.9", "10.1.0.9"),
    ("IP=::ffff:10.1.0.9/120", "10.1.0.9"),
    ("IgnoreUnknown=1;FOO=B;IP=10.1.0.9", "10.1.0.9"),
    ("FOO=B;IP=10.1.0.9;IgnoreUnknown=TRUE", "10.1.0.9"),
    ("IgnoreUnknown=True", nil),
    ("IgnoreUnknown=FALSE", nil),
  ]

  @Test(arguments: addresses)
  func takesAddress(_ text: String, _ address: String?) throws {
    #expect(try CNIArguments(parsing: text).address?.description == address)
  }

  @Test func takesIdentityAndMAC() throws {
    let kubernetes = try CNIArguments(
      parsing: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;"
        + "K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=;OTHER=1")
    #expect(
      kubernetes.identity == [
        "K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "web-0",
        "K8S_POD_INFRA_CONTAINER_ID": "abc",
      ])
    let podman = try CNIArguments(
      parsing: "IgnoreUnknown=1;K8S_POD_NAME=web;MAC=0A:00:00:00:00:01;IP=10.88.0.9")
    #expect(podman.mac?.description == "0a:00:00:00:00:01")
    #expect(podman.address?.description == "10.88.0.9")
    #expect(try CNIArguments(parsing: "MAC=;NOMAD_ALLOC_ID=x").identity == ["NOMAD_ALLOC_ID": "x"])
  }

  @Test(arguments: refused.map(\.0))
  func lenientTakesTheRest(_ text: String) {
    let arguments = CNIArguments(lenient: text + ";K8S_POD_NAME=web")
    #expect(arguments.identity == ["K8S_POD_NAME": "web"])
  }

  @Test func onlyDelIsLenient() throws {
    let input = #"{"name": "net", "cniVersion": "1.1.0"}"#
    for command in ["ADD", "CHECK"] {
      let invocation = try invocation(command, input, ["CNI_ARGS": "FOO"])
      #expect(failure { try invocation.arguments() }?.code == .environment)
    }
    let invocation = try invocation("DEL", input, ["CNI_ARGS": "FOO;IP=zz"])
    #expect(try invocation.arguments() == CNIArguments())
  }
}
