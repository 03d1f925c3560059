# SPDX-License-Identifier: MIT
# The same for any Rack server.
run lambda { |env|
  sleep 0.3 if env["PATH_INFO"] == "/slow"
  [200, { "Content-Type" => "text/plain" }, ["hello #{Process.pid}\n"]]
}
