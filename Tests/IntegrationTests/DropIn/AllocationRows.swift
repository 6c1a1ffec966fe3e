// Rows about what is handed out, to whom, in which order, and how it is given back.

private let small: JSON = ["subnet": "10.0.0.0/29"]
private let dual: JSON = ["ranges": [[["subnet": "10.0.0.0/29"]], [["subnet": "fd00::/64"]]]]
private let inSmall = "failed to allocate for range 0: "

private func ips(_ addresses: JSON...) -> JSON { ["args": ["cni": ["ips": .array(addresses)]]] }

enum AllocationRows {
  static let all = order + errorOrder + requests + duplicates + deletion + checking

  static let order: [DropInRow] = [
    DropInRow(
      "round robin", small,
      .add("c1", "10.0.0.2/29"), .del("c1"), .add("c2", "10.0.0.3/29"), .add("c3", "10.0.0.4/29"),
      .add("c4", "10.0.0.5/29"), .add("c5", "10.0.0.6/29"), .add("c6", "10.0.0.2/29")),
    DropInRow(
      "begins behind the last", small, files: ["last_reserved_ip.0": "10.0.0.4"],
      .add("c1", "10.0.0.5/29")),
    DropInRow(
      "wraps over the gateway", small, files: ["last_reserved_ip.0": "10.0.0.6"],
      .add("c1", "10.0.0.2/29")),
    DropInRow(
      "the last one is outside", small, files: ["last_reserved_ip.0": "10.9.9.9"],
      .add("c1", "10.0.0.2/29")),
    DropInRow(
      "the last one with a newline", small, files: ["last_reserved_ip.0": "10.0.0.4\n"],
      .add("c1", "10.0.0.2/29")),
    DropInRow(
      "the last one is no address", small, files: ["last_reserved_ip.0": "zz"],
      .add("c1", "10.0.0.2/29")),
    DropInRow(
      "every set has its own last one", dual,
      files: ["last_reserved_ip.0": "10.0.0.4", "last_reserved_ip.1": "fd00::9"],
      .add("c1", "10.0.0.5/29", "fd00::a/64")),
    DropInRow(
      "a request moves the last one", ["subnet": "10.0.0.0/24"],
      .add("c1", "10.0.0.100/24", arguments: "IP=10.0.0.100"), .add("c2", "10.0.0.101/24")),
    DropInRow(
      "what stands there is skipped", small,
      files: ["10.0.0.2": "x\r\neth0", "10.0.0.3": "y"],
      .add("c1", "10.0.0.4/29")),
    DropInRow(
      "exhausted, then free again", ["subnet": "10.0.0.0/30"],
      .add("c1", "10.0.0.2/30"),
      .fails(by: "c2", inSmall + "no IP addresses available in range set: 10.0.0.1-10.0.0.2"),
      .del("c1"), .add("c2", "10.0.0.2/30")),
    DropInRow(
      "the second set is exhausted",
      ["ranges": [[["subnet": "10.0.0.0/24"]], [["subnet": "10.1.0.0/30"]]]],
      .add("c1", "10.0.0.2/24", "10.1.0.2/30"),
      .fails(
        by: "c2",
        "failed to allocate for range 1: no IP addresses available in range set: "
          + "10.1.0.1-10.1.0.2"
      ).but(.cleanFailure)),
    DropInRow(
      "an inserted set takes over the last one of its place",
      ["ranges": [[["subnet": "fd00::/64"]], [["subnet": "10.0.0.0/29"]]]],
      files: ["last_reserved_ip.0": "10.0.0.4"], .add("c1", "fd00::2/64", "10.0.0.2/29")),
    DropInRow(
      "a directory at an address", small, files: ["10.0.0.2/x": "c1\r\neth0"],
      .add("c2", "10.0.0.3/29")),
    DropInRow(
      "an empty file", small, files: ["10.0.0.2": ""],
      .add("c1", "10.0.0.2/29").but(.emptyFile, .addresses(["10.0.0.3/29"]))),
    DropInRow(
      "a carry in IPv6", ["subnet": "::/96", "rangeStart": "::ff:ffff", "rangeEnd": "::100:1"],
      .add("c1", "::ff:ffff/96").but(.carry), .add("c2", "::100:0/96").but(.carry)),
  ]

  static let requests: [DropInRow] = [
    DropInRow("by CNI_ARGS", small, .add("c1", "10.0.0.5/29", arguments: "IP=10.0.0.5")),
    DropInRow(
      "the prefix is ignored", small,
      .add("c1", "10.0.0.5/29", arguments: "IP=10.0.0.5/8")),
    DropInRow("empty is none", small, .add("c1", "10.0.0.2/29", arguments: "IP=")),
    DropInRow(
      "the last of several", small,
      .add("c1", "10.0.0.6/29", arguments: "IP=10.0.0.5;IP=10.0.0.6")),
    DropInRow("a mapped one", small, .add("c1", "10.0.0.5/29", arguments: "IP=::ffff:10.0.0.5")),
    DropInRow(
      "unknown ones ignored", small,
      .add("c1", "10.0.0.5/29", arguments: "FOO=BAR;IgnoreUnknown=TRUE;IP=10.0.0.5")),
    DropInRow(
      "unknown ones ignored in any order and case", small,
      .add("c1", "10.0.0.5/29", arguments: "IP=10.0.0.5;IgnoreUnknown=True;ip=10.0.0.6")),
    DropInRow(
      "by args", dual,
      .add("c1", "10.0.0.5/29", "fd00::5/64", others: ips("10.0.0.5/29", "fd00::5"))),
    DropInRow(
      "by runtimeConfig", dual,
      .add(
        "c1", "10.0.0.2/29", "fd00::77/64",
        others: ["runtimeConfig": ["ips": ["fd00::77/64"]]])),
    DropInRow(
      "all three together", dual,
      .add(
        "c1", "10.0.0.5/29", "fd00::77/64", arguments: "IP=10.0.0.5",
        others: ips("10.0.0.5").merging(["runtimeConfig": ["ips": ["fd00::77"]]]))),
    DropInRow(
      "different ones for one set", small,
      .fails(
        "failed to allocate all requested IPs: 10.0.0.6", arguments: "IP=10.0.0.5",
        others: ips("10.0.0.6")
      ).but(.cleanFailure, .error("failed to allocate all requested IPs: *"))),
    DropInRow(
      "the gateway", small,
      .fails(inSmall + "requested ip 10.0.0.1 is subnet's gateway", arguments: "IP=10.0.0.1")),
    DropInRow(
      "taken", small, .add("c1", "10.0.0.2/29"),
      .fails(
        by: "c2",
        inSmall + "requested IP address 10.0.0.2 is not available in range set 10.0.0.1-10.0.0.6",
        arguments: "IP=10.0.0.2")),
    DropInRow(
      "network, broadcast, outside, other family", small,
      .fails("failed to allocate all requested IPs: 10.0.0.0", arguments: "IP=10.0.0.0")
        .but(.cleanFailure),
      .fails("failed to allocate all requested IPs: 10.0.0.7", arguments: "IP=10.0.0.7")
        .but(.cleanFailure),
      .fails("failed to allocate all requested IPs: 10.9.9.9", arguments: "IP=10.9.9.9")
        .but(.cleanFailure),
      .fails("failed to allocate all requested IPs: fd00::5", arguments: "IP=fd00::5")
        .but(.cleanFailure)),
    DropInRow(
      "one that nobody hands out, and nothing free", ["subnet": "10.0.0.0/30"],
      .add("c1", "10.0.0.2/30"),
      .fails(
        by: "c2", "failed to allocate all requested IPs: 10.9.9.9", arguments: "IP=10.9.9.9"
      ).but(
        .requestFirst,
        .error(
          "failed to allocate for range 0: no IP addresses available in range set: "
            + "10.0.0.1-10.0.0.2"))),
    DropInRow(
      "two that nobody hands out", small,
      .fails(
        "failed to allocate all requested IPs: 10.9.9.9 10.9.9.8", arguments: "IP=10.9.9.9",
        others: ips("10.9.9.8")
      ).but(.orderedList, .error("failed to allocate all requested IPs: 10.9.9.*"))),
    DropInRow(
      "requests that are no addresses", small,
      .fails("cannot understand ip: IP <nil> not v4 nor v6", others: ips("")),
      .fails("invalid IP address zz", others: ips("zz"))),
    DropInRow(
      "a request that is null", small,
      .fails("args.cni.ips[0] must be a string, not null", others: ips(nil)).but(.noPanic)),
    DropInRow(
      "bad CNI_ARGS", small,
      .fails(#"ARGS: invalid pair "FOO""#, arguments: "FOO"),
      .fails(#"ARGS: invalid pair """#, arguments: "IP=10.0.0.5;"),
      .fails(#"ARGS: invalid pair "a=b=c""#, arguments: "a=b=c"),
      .fails(#"ARGS: unknown args ["FOO=BAR"]"#, arguments: "FOO=BAR"),
      .fails(#"ARGS: unknown args ["ip=10.0.0.5"]"#, arguments: "ip=10.0.0.5"),
      .fails(#"ARGS: unknown args ["A=<&>"]"#, arguments: "IgnoreUnknown=0;A=<&>"),
      .fails(of: "CHECK", #"ARGS: invalid pair "FOO""#, arguments: "FOO"),
      .fails(
        #"ARGS: error parsing value of pair "IgnoreUnknown=yes": boolean unmarshal error: "#
          + "invalid input yes", arguments: "IgnoreUnknown=yes"),
      .fails(
        #"ARGS: error parsing value of pair "IP=zz": invalid IP address zz"#,
        arguments: "IP=zz")),
  ]

  /// Of two errors the reference says the one that it meets first: what cannot be decoded, then
  /// CNI_ARGS, then what makes no sense.
  static let errorOrder: [DropInRow] = [
    DropInRow(
      "bad CNI_ARGS and no prefix", ["subnet": "zz"],
      .fails("invalid CIDR address: zz", arguments: "FOO")),
    DropInRow(
      "bad CNI_ARGS and no gateway", ["subnet": "10.0.0.0/24", "gateway": "zz"],
      .fails("invalid IP address: zz", arguments: "IP=zz;")),
    DropInRow(
      "bad CNI_ARGS and a bad route", ["subnet": "10.0.0.0/24", "routes": [["dst": "nowhere"]]],
      .fails("invalid CIDR address: nowhere", arguments: "FOO=BAR")),
    DropInRow(
      "bad CNI_ARGS and host bits", ["subnet": "10.0.0.1/24"],
      .fails(#"ARGS: invalid pair "FOO""#, arguments: "FOO")),
    DropInRow(
      "bad CNI_ARGS and no ranges", [:],
      .fails(#"ARGS: unknown args ["FOO=BAR"]"#, arguments: "FOO=BAR")),
    DropInRow(
      "bad CNI_ARGS and a bad request", small,
      .fails("invalid IP address zz", arguments: "FOO", others: ips("zz")),
      .fails(
        "invalid IP address ww", arguments: "FOO", others: ["runtimeConfig": ["ips": ["ww"]]]),
      .fails(of: "CHECK", "invalid IP address zz", arguments: "FOO", others: ips("zz"))),
    DropInRow(
      "bad CNI_ARGS and an empty request", small,
      .fails(#"ARGS: invalid pair "FOO""#, arguments: "FOO", others: ips(""))),
    DropInRow(
      "a bad request and host bits", ["subnet": "10.0.0.1/24"],
      .fails("invalid IP address zz", others: ips("zz")),
      .fails("cannot understand ip: IP <nil> not v4 nor v6", others: ips(""))),
    DropInRow(
      "a bad request at a CHECK", small, .add("c1", "10.0.0.2/29"),
      .fails(of: "CHECK", "invalid IP address zz", others: ips("zz"))),
    // Members are in the order of their names here: args, ipam, runtimeConfig.
    DropInRow(
      "several bad addresses", ["subnet": "yy"],
      .fails("invalid IP address zz", others: ips("zz")),
      .fails("invalid CIDR address: yy", others: ["runtimeConfig": ["ips": ["ww"]]])),
  ]

  private static let twice = " has been allocated to c1, duplicate allocation is not allowed"

  static let duplicates: [DropInRow] = [
    DropInRow(
      "again", small, .add("c1", "10.0.0.2/29"),
      .fails(inSmall + "10.0.0.2" + twice)),
    DropInRow(
      "again with its own address", small, .add("c1", "10.0.0.2/29"),
      .fails(
        inSmall + "requested IP address 10.0.0.2 is not available in range set 10.0.0.1-10.0.0.6",
        arguments: "IP=10.0.0.2")),
    DropInRow(
      "again with another address", small, .add("c1", "10.0.0.2/29"),
      .fails(inSmall + "10.0.0.2" + twice, arguments: "IP=10.0.0.5")
        .but(.repeatedAdd, .addresses(["10.0.0.5/29"]))),
    DropInRow(
      "again with a request for one of two sets", dual,
      .add("c1", "10.0.0.2/29", "fd00::2/64"),
      .fails(inSmall + "10.0.0.2" + twice, arguments: "IP=10.0.0.5")
        .but(.repeatedAdd, .error("failed to allocate for range 1: fd00::2" + twice))),
    DropInRow(
      "another interface", small, .add("c1", "10.0.0.2/29"),
      .add("c1", "10.0.0.3/29", interface: "eth1")),
  ]

  private static let both = ["10.0.0.2": "c1\r\neth0", "10.0.0.3": "c1", "10.0.0.4": "c1\r\neth1"]

  static let deletion: [DropInRow] = [
    DropInRow("of nothing", small, .del("c1")),
    DropInRow("twice", small, .add("c1", "10.0.0.2/29"), .del("c1"), .del("c1")),
    DropInRow(
      "of one interface", small, .add("c1", "10.0.0.2/29"),
      .add("c1", "10.0.0.3/29", interface: "eth1"), .del("c1")),
    DropInRow("the old format without interface", small, files: ["10.0.0.3": "c1"], .del("c1")),
    DropInRow(
      "the old format of any interface", small,
      files: ["10.0.0.3": "c1", "10.0.0.4": "c1"], .del("c1", interface: "eth7")),
    DropInRow("the new format comes first", small, files: both, .del("c1"), .del("c1")),
    DropInRow(
      "both formats and two range sets", dual, files: both, .del("c1").but(.oncePerCall, .done)),
    DropInRow(
      "content with spaces around it", small,
      files: ["10.0.0.3": "c1\r\neth0\r\n", "10.0.0.4": " c1\r\neth0 "], .del("c1")),
    DropInRow(
      "content with another line ending", small, files: ["10.0.0.3": "c1\neth0"],
      .del("c1")),
    DropInRow(
      "addresses outside the ranges", small, files: ["10.9.9.9": "c1\r\neth0"],
      .del("c1")),
    DropInRow(
      "with broken ranges", small, files: ["10.0.0.3": "c1\r\neth0"],
      .del("c1", others: ["ipam": ["subnet": "10.0.0.1/29"]]).but(
        .deleteAlwaysWorks,
        .error(
          "invalid range set 0: Network has host bits set. For a subnet mask of length 29 the "
            + "network address is 10.0.0.0"))),
    DropInRow(
      "without ranges", [:], files: ["10.0.0.3": "c1\r\neth0"],
      .del("c1").but(.deleteAlwaysWorks, .error("no IP ranges specified"))),
    DropInRow(
      "with bad CNI_ARGS", small, files: ["10.0.0.3": "c1\r\neth0"],
      .del("c1", arguments: "FOO").but(
        .deleteAlwaysWorks, .error(#"ARGS: invalid pair "FOO""#))),
    DropInRow(
      "by a container called like an address", small,
      files: ["last_reserved_ip.0": "10.0.0.4"],
      .del("10.0.0.4").but(.notAnAttachment)),
  ]

  private static let missing = "host-local: Failed to find address added by container c1"

  static let checking: [DropInRow] = [
    DropInRow("held", small, .add("c1", "10.0.0.2/29"), .check("c1")),
    DropInRow(
      "without a resolvConf that only an ADD reads", small, .add("c1", "10.0.0.2/29"),
      .check(
        "c1", others: ["ipam": ["subnet": "10.0.0.0/29", "resolvConf": "/nonexistent/x"]])),
    DropInRow("of nothing", small, .fails(of: "CHECK", missing)),
    DropInRow(
      "of another interface", small, .add("c1", "10.0.0.2/29"),
      .fails(of: "CHECK", missing, interface: "eth1")),
    DropInRow("the old format", small, files: ["10.0.0.3": "c1"], .check("c1")),
    DropInRow(
      "with prevResult", dual, .add("c1", "10.0.0.2/29", "fd00::2/64"),
      .check(
        "c1",
        others: [
          "prevResult": [
            "cniVersion": "1.0.0",
            "ips": [
              ["address": "10.0.0.2/29"], ["address": "fd00::2/64"],
              ["address": "192.168.7.7/24"],
            ],
          ]
        ])),
    DropInRow(
      "with a prevResult that names another address", small, .add("c1", "10.0.0.2/29"),
      .fails(
        of: "CHECK", "host-local: Failed to find address 10.0.0.3 added by container c1",
        others: [
          "prevResult": ["cniVersion": "1.0.0", "ips": [["address": "10.0.0.3/29"]]]
        ]
      ).but(.strictCheck, .done)),
    DropInRow(
      "by a container called like an address", small,
      files: ["last_reserved_ip.0": "10.0.0.4"],
      .fails(
        of: "CHECK", by: "10.0.0.4",
        "host-local: Failed to find address added by container 10.0.0.4"
      ).but(.notAnAttachment, .done)),
  ]
}
