"""A threaded HTTP server and eight clients in one process: 1600 requests with bodies both ways."""
import hashlib
import http.client
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = hashlib.sha256(body).hexdigest().encode() * 40
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
thread = threading.Thread(target=server.serve_forever)
thread.start()
right = []


def client(number):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    for i in range(200):
        body = bytes([number, i]) * 700
        connection.request("POST", "/", body)
        answer = connection.getresponse().read()
        right.append(answer == hashlib.sha256(body).hexdigest().encode() * 40)
    connection.close()


clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
for each in clients:
    each.start()
for each in clients:
    each.join()
server.shutdown()
thread.join()
print(len(right), all(right))
