# frozen_string_literal: true

require "net/http"
require "openssl"
require "uri"

module MassiveSMS
  # A request as a transport sends it.
  Request = Struct.new(:http_method, :url, :headers, :body, keyword_init: true) do
    # Describe the request without its key, parameters and body.
    def inspect = "#<MassiveSMS::Request #{http_method} #{url.to_s[/\A[^?]*/]}>"
    alias_method :to_s, :inspect
  end

  # An answer as it came. A transport gives status, headers (names in small letters) and body.
  Response = Struct.new(:status, :headers, :body, :idempotency_key, :attempts, keyword_init: true) do
    # @return [String, nil] what support asks for
    def request_id = headers["x-request-id"]
    # @return [Boolean] whether an earlier request with this key was already done, and this is its answer
    def replayed? = headers["idempotent-replayed"] == "true"
    # @return [Boolean] whether the request was done
    def ok? = (200..299).cover?(status)

    # @return [Integer, nil] how many seconds to wait; anything but whole seconds is as if nothing was said
    def retry_after
      given = headers["retry-after"].to_s.strip
      given.match?(/\A[0-9]{1,9}\z/) ? given.to_i : nil
    end

    # Describe the answer without its body, which may hold phones and texts.
    def inspect = "#<MassiveSMS::Response #{status} #{request_id}>"
    alias_method :to_s, :inspect
  end

  # Sends requests with Net::HTTP over connections that are kept: any number of threads, and after a fork as well.
  #
  # A transport of your own has `call(request, timeout:)`, which returns a Response, or raises APITimeoutError or any
  # SystemCallError, SocketError, IOError or OpenSSL::SSL::SSLError; and `close`.
  class NetHTTPTransport
    KEEP_ALIVE = 20

    # @param connect_timeout [Numeric] seconds to open a connection
    # @param proxy [String, :env, nil] the URL of a proxy; :env reads the environment
    def initialize(connect_timeout: 5, proxy: :env)
      @connect_timeout = connect_timeout
      @proxy = proxy
      @mutex = Mutex.new
      @idle = Hash.new { |idle, place| idle[place] = [] }
      @process = Process.pid
    end

    # Send a request and return its answer.
    def call(request, timeout:)
      ends = now + timeout
      uri = URI(request.url)
      connection = take(uri)
      done = false
      response = answer(connection, uri, request, ends)
      done = true
      response
    rescue Net::OpenTimeout, Net::ReadTimeout, Net::WriteTimeout, Errno::ETIMEDOUT => e
      raise APITimeoutError, "timed out (#{e.class})"
    ensure
      done ? give(uri, connection) : discard(connection)
    end

    # Close all connections that are not in use.
    def close
      connections = @mutex.synchronize { @idle.values.flatten(1).tap { @idle.clear } }
      connections.each { |each, _| discard(each) }
      nil
    end

    # Describe the transport without its connections.
    def inspect = "#<MassiveSMS::NetHTTPTransport>"

    private

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    def answer(connection, uri, request, ends)
      left = remaining(ends)
      connection.read_timeout = left
      connection.write_timeout = left
      sent = Net::HTTPGenericRequest.new(request.http_method, !request.body.nil?, true, uri.request_uri, request.headers)
      sent.body = request.body
      body = +""
      received = connection.request(sent) do |response|
        response.read_body do |chunk|
          body << chunk
          connection.read_timeout = remaining(ends)
        end
      end
      headers = received.each_header.to_h
      Response.new(status: received.code.to_i, headers: headers, body: body)
    end

    def remaining(ends)
      left = ends - now
      raise Net::ReadTimeout if left <= 0

      left
    end

    # Return a connection, one that is kept where there is one. What was opened before a fork belongs to the parent.
    def take(uri)
      kept, = @mutex.synchronize do
        @idle.clear && @process = Process.pid if @process != Process.pid
        @idle[place(uri)].pop
      end
      kept || open(uri)
    end

    # Keep a connection, and close those that nobody has used since the other side may have closed them.
    def give(uri, connection)
      old = @mutex.synchronize do
        idle = @idle[place(uri)]
        idle.push([connection, now])
        idle.shift(idle.index { |_, since| since > now - KEEP_ALIVE } || 0)
      end
      old.each { |each, _| discard(each) }
    end

    def place(uri) = [uri.scheme, uri.hostname, uri.port]

    def open(uri)
      connection = Net::HTTP.new(uri.hostname, uri.port, *proxy_of(uri))
      connection.use_ssl = uri.scheme == "https"
      connection.open_timeout = @connect_timeout
      # Net::HTTP opens a kept connection again where the other side closed it, or may have.
      connection.keep_alive_timeout = KEEP_ALIVE
      # Retries are the client's, which knows what may be tried again.
      connection.max_retries = 0
      connection.start
    end

    # Net::HTTP by itself would read http_proxy for HTTPS as well, and not https_proxy.
    def proxy_of(uri)
      address = @proxy == :env ? uri.find_proxy : @proxy && URI(@proxy)
      return [nil] if address.nil?

      [address.hostname, address.port, plain(address.user), plain(address.password)]
    end

    # Return a part of a URL as it is without escapes.
    def plain(text) = text && URI.decode_www_form_component(text.gsub("+", "%2B"))

    def discard(connection)
      connection.finish if connection&.started?
    rescue IOError
      nil
    end
  end
end
