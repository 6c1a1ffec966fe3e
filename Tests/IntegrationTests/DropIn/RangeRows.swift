// Rows about ranges and range sets: what is accepted, what the defaults are, which error wins.

private func refused(
  _ name: String, _ range: JSON, _ message: String, because difference: Difference? = nil,
  reference: Expected? = nil
) -> DropInRow {
  var step = Step.fails("invalid range set 0: \(message)")
  if let difference { step = step.but(difference, reference) }
  return DropInRow(name, ["ranges": [[range]]], step)
}

enum RangeRows {
  static let all = single + sets + configuration

  static let single: [DropInRow] = [
    refused("no subnet", [:], "IP <nil> not v4 nor v6"),
    DropInRow(
      "an unused bound that is none",
      ["ranges": [[["subnet": "10.0.0.0/24"]]], "rangeStart": "zz"],
      .fails("invalid IP address: zz")),
    refused("/31", ["subnet": "10.0.0.0/31"], "Network 10.0.0.0/31 too small to allocate from"),
    refused("/32", ["subnet": "10.0.0.0/32"], "Network 10.0.0.0/32 too small to allocate from"),
    refused("/127", ["subnet": "fd00::/127"], "Network fd00::/127 too small to allocate from"),
    refused("/128", ["subnet": "fd00::/128"], "Network fd00::/128 too small to allocate from"),
    refused(
      "too small comes before host bits", ["subnet": "10.0.0.1/31"],
      "Network 10.0.0.1/31 too small to allocate from"),
    refused(
      "host bits", ["subnet": "10.0.0.7/24"],
      "Network has host bits set. For a subnet mask of length 24 the network address is 10.0.0.0"),
    refused(
      "host bits in IPv6", ["subnet": "fd00::7/64"],
      "Network has host bits set. For a subnet mask of length 64 the network address is fd00::"),
    refused(
      "rangeStart outside", ["subnet": "10.0.0.0/24", "rangeStart": "10.0.1.5"],
      "RangeStart 10.0.1.5 not in network 10.0.0.0/24"),
    refused(
      "rangeEnd outside", ["subnet": "10.0.0.0/24", "rangeEnd": "10.0.1.0"],
      "RangeEnd 10.0.1.0 not in network 10.0.0.0/24"),
    refused(
      "start behind end",
      ["subnet": "192.0.2.0/24", "rangeStart": "192.0.2.50", "rangeEnd": "192.0.2.40"],
      "RangeStart 192.0.2.50 not in network 192.0.2.0/24"),
    refused(
      "rangeStart is the broadcast address",
      ["subnet": "10.0.0.0/29", "rangeStart": "10.0.0.7"],
      "RangeStart 10.0.0.7 not in network 10.0.0.0/29", because: .reversedRange,
      reference: .addresses(["10.0.0.7/29"])),
    DropInRow(
      "a /30 has one", ["subnet": "10.0.0.0/30"],
      .add("c1", "10.0.0.2/30"),
      .fails(
        by: "c2",
        "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.2")
    ),
    DropInRow(
      "a /126 has two", ["subnet": "fd00::/126"],
      .add("c1", "fd00::2/126"), .add("c2", "fd00::3/126"),
      .fails(
        by: "c3",
        "failed to allocate for range 0: no IP addresses available in range set: fd00::1-fd00::3")),
    DropInRow(
      "bounds are inclusive",
      ["subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.11"],
      .add("c1", "10.0.0.10/24"), .add("c2", "10.0.0.11/24"),
      .fails(
        by: "c3",
        "failed to allocate for range 0: no IP addresses available in range set: "
          + "10.0.0.10-10.0.0.11")),
    DropInRow(
      "a gateway inside is skipped", ["subnet": "10.0.0.0/29", "gateway": "10.0.0.3"],
      .add("c1", "10.0.0.1/29"), .add("c2", "10.0.0.2/29"), .add("c3", "10.0.0.4/29")),
    DropInRow(
      "a gateway outside frees .1", ["subnet": "10.0.0.0/29", "gateway": "192.168.0.1"],
      .add("c1", "10.0.0.1/29")),
    DropInRow(
      "a gateway of the other family", ["subnet": "10.0.0.0/29", "gateway": "fd00::1"],
      .add("c1", "10.0.0.1/29")),
    DropInRow(
      "empty texts are not given",
      ["subnet": "10.0.0.0/29", "rangeStart": "", "rangeEnd": "", "gateway": ""],
      .add("c1", "10.0.0.2/29")),
    DropInRow("upper case", ["subnet": "FD00:0:0:0::/64"], .add("c1", "fd00::2/64")),
    DropInRow(
      "keys in any case", ["Subnet": "10.0.0.0/29", "RANGESTART": "10.0.0.4"],
      .add("c1", "10.0.0.4/29")),
    DropInRow(
      "the ancestor's keys",
      ["subnet": "10.0.0.0/29", "range-start": "10.0.0.4", "range-end": "10.0.0.4"],
      .add("c1", "10.0.0.4/29").but(.ancestorKeys, .addresses(["10.0.0.2/29"]))),
    DropInRow(
      "rangeStart is the network address",
      ["subnet": "10.0.0.0/29", "rangeStart": "10.0.0.0"],
      .add("c1", "10.0.0.2/29").but(.reservedEnds, .addresses(["10.0.0.0/29"]))),
    DropInRow(
      "rangeEnd is the broadcast address",
      ["subnet": "10.0.0.0/29", "rangeStart": "10.0.0.6", "rangeEnd": "10.0.0.7"],
      .add("c1", "10.0.0.6/29"),
      .fails(
        by: "c2",
        "failed to allocate for range 0: no IP addresses available in range set: "
          + "10.0.0.6-10.0.0.7"
      ).but(.reservedEnds, .addresses(["10.0.0.7/29"]))),
    DropInRow(
      "the whole of IPv4", ["subnet": "0.0.0.0/0"],
      .add("c1", "0.0.0.2/0").but(
        .wholeSpace,
        .error(
          "failed to allocate for range 0: no IP addresses available in range set: *"))),
    DropInRow(
      "the first /8 of IPv4", ["subnet": "0.0.0.0/8"],
      .add("c1", "0.0.0.2/8").but(
        .wholeSpace,
        .error(
          "failed to allocate for range 0: no IP addresses available in range set: *"))),
    DropInRow(
      "a prefix length with a leading zero", ["subnet": "10.0.0.0/024"],
      .fails("invalid CIDR address: 10.0.0.0/024").but(
        .plainLength, .addresses(["10.0.0.2/24"]))),
    DropInRow(
      "an octet with a leading zero", ["subnet": "10.00.0.0/24"],
      .fails("invalid CIDR address: 10.00.0.0/24")),
  ]

  private static let tooMany =
    "does not support more than 1 address per family"
  private static let twoOfOneFamily: JSON = [
    "ranges": [[["subnet": "10.0.0.0/29"]], [["subnet": "10.1.0.0/29"]]]
  ]

  static let sets: [DropInRow] = [
    DropInRow(
      "an empty set", ["ranges": [[]]],
      .fails("invalid range set 0: empty range set")),
    DropInRow(
      "the second set is empty", ["ranges": [[["subnet": "10.0.0.0/24"]], []]],
      .fails("invalid range set 1: empty range set")),
    DropInRow(
      "mixed families",
      ["ranges": [[["subnet": "10.0.0.0/24"], ["subnet": "fd00::/64"]]]],
      .fails("invalid range set 0: mixed address families")),
    DropInRow(
      "overlap in a set",
      ["ranges": [[["subnet": "10.1.0.0/22"], ["subnet": "10.1.2.0/24"]]]],
      .fails(
        "invalid range set 0: subnets 10.1.0.1-10.1.3.254 and 10.1.2.1-10.1.2.254 overlap")),
    DropInRow(
      "overlap across sets",
      [
        "ranges": [
          [["subnet": "10.0.0.0/24"]], [["subnet": "10.1.0.0/24"]], [["subnet": "10.1.0.0/16"]],
        ]
      ],
      .fails("range set 1 overlaps with 2")),
    DropInRow(
      "halves of one subnet",
      [
        "ranges": [
          [["subnet": "10.0.0.0/24", "rangeEnd": "10.0.0.127"]],
          [["subnet": "10.0.0.0/24", "rangeStart": "10.0.0.128"]],
        ]
      ],
      .add("c1", "10.0.0.2/24", "10.0.0.128/24")),
    DropInRow(
      "several ranges are one pool",
      [
        "ranges": [
          [
            ["subnet": "10.0.0.0/30"], ["subnet": "10.1.0.0/30"],
            ["subnet": "10.2.0.0/24", "rangeStart": "10.2.0.9", "rangeEnd": "10.2.0.9"],
          ]
        ]
      ],
      .add("c1", "10.0.0.2/30"), .add("c2", "10.1.0.2/30"), .add("c3", "10.2.0.9/24"),
      .fails(
        by: "c4",
        "failed to allocate for range 0: no IP addresses available in range set: "
          + "10.0.0.1-10.0.0.2,10.1.0.1-10.1.0.2,10.2.0.9-10.2.0.9")),
    DropInRow(
      "the order of sets",
      [
        "subnet": "10.1.0.0/29",
        "ranges": [[["subnet": "10.2.0.0/29"]], [["subnet": "fd00::/64"]]],
      ],
      others: ["runtimeConfig": ["ipRanges": [[["subnet": "10.3.0.0/29"]]]]],
      .add("c1", "10.3.0.2/29", "10.1.0.2/29", "10.2.0.2/29", "fd00::2/64")),
    DropInRow(
      "bounds without a subnet are dropped",
      ["rangeStart": "10.1.0.9", "ranges": [[["subnet": "10.2.0.0/29"]]]],
      .add("c1", "10.2.0.2/29")),
    DropInRow(
      "two of a family in 0.2.0", twoOfOneFamily, version: "0.2.0",
      .fails("CNI version 0.2.0 \(tooMany)")),
    DropInRow(
      "two of a family without version", twoOfOneFamily, version: nil,
      .fails("CNI version  \(tooMany)")),
    DropInRow(
      "two of a family in 0.3.0", twoOfOneFamily, version: "0.3.0",
      .add("c1", "10.0.0.2/29", "10.1.0.2/29")),
    DropInRow(
      "one of each family in 0.2.0",
      ["ranges": [[["subnet": "10.0.0.0/29"]], [["subnet": "fd00::/64"]]]], version: "0.2.0",
      .add("c1", "10.0.0.2/29", "fd00::2/64")),
  ]

  private static let routes: JSON = [
    ["dst": "1.2.3.4/24"], ["dst": "::/0", "gw": "fd00::9"], ["dst": "10.9.0.0/16", "gw": ""],
  ]

  static let configuration: [DropInRow] = [
    DropInRow(
      "routes are passed on as they are", ["subnet": "10.0.0.0/24", "routes": routes],
      .add("c1", "10.0.0.2/24")),
    DropInRow(
      "routes go with their family in 0.2.0", ["subnet": "10.0.0.0/24", "routes": routes],
      version: "0.2.0", .add("c1", "10.0.0.2/24")),
    DropInRow(
      "1.1.0", ["subnet": "10.0.0.0/24"], version: "1.1.0",
      .add("c1", "10.0.0.2/24").but(
        .newerVersion, .error("incompatible CNI versions"))),
    DropInRow(
      "another type, with a backend",
      ["type": "other", "backend": "disk", "subnet": "10.0.0.0/24"],
      .add("c1", "10.0.0.2/24")),
    DropInRow("no ranges", [:], .fails("no IP ranges specified")),
    DropInRow("ranges null", ["ranges": nil], .fails("no IP ranges specified")),
    DropInRow(
      "an impossible mask", ["subnet": "10.0.0.0/33"],
      .fails("invalid CIDR address: 10.0.0.0/33")),
    DropInRow("an empty subnet", ["subnet": ""], .fails("invalid CIDR address: ")),
    DropInRow(
      "leading zeros", ["subnet": "10.00.0.0/24"],
      .fails("invalid CIDR address: 10.00.0.0/24")),
    DropInRow(
      "a zone", ["subnet": "fe80::%eth0/64"],
      .fails("invalid CIDR address: fe80::%eth0/64")),
    DropInRow(
      "a mapped subnet", ["subnet": "::ffff:10.0.0.0/120"],
      .fails("invalid range set 0: IPNet IP and Mask version mismatch")),
    DropInRow(
      "rangeStart is no address", ["subnet": "10.0.0.0/24", "rangeStart": "zz"],
      .fails("invalid IP address: zz")),
    DropInRow(
      "gateway is no address", ["subnet": "10.0.0.0/24", "gateway": "zz"],
      .fails("invalid IP address: zz")),
    DropInRow(
      "a route's gateway is no address",
      ["subnet": "10.0.0.0/24", "routes": [["dst": "0.0.0.0/0", "gw": "zz"]]],
      .fails("invalid IP address: zz")),
    DropInRow(
      "a route's destination is no prefix",
      ["subnet": "10.0.0.0/24", "routes": [["dst": "zz"]]],
      .fails("invalid CIDR address: zz")),
    DropInRow(
      "ranges of the wrong type", ["ranges": [["subnet": "10.0.0.0/24"]]],
      .fails("ipam.ranges[0] must be an array, not an object").but(.ownWords)),
    DropInRow(
      "resolvConf that is missing",
      ["subnet": "10.0.0.0/24", "resolvConf": "/nonexistent/x"],
      .fails("open /nonexistent/x: no such file or directory")),
    DropInRow(
      "dataDir that is a file", ["subnet": "10.0.0.0/24", "dataDir": "/etc/passwd"],
      .fails(
        "open /etc/passwd/net: not a directory; remove what stands there, or choose another dataDir"
      ).but(.ownWords, .error("mkdir /etc/passwd: not a directory"))),
  ]
}
