# A job whose tasks share an address of the network "pods" (pods.conflist beside this file). Nomad 1.9
# and later says the region, namespace, job, group and allocation to the plugins, and they are stored
# with the lease: ipamctl lease list shows them.
#
# Tested as far as the header of pods.conflist says: Nomad itself did not read this file.
job "web" {
  group "web" {
    network {
      mode = "cni/pods"
      port "http" {
        to = 8080
      }
    }

    task "web" {
      driver = "docker"
      config {
        image   = "busybox:1"
        command = "httpd"
        args    = ["-f", "-p", "8080"]
        ports   = ["http"]
      }
    }
  }
}
