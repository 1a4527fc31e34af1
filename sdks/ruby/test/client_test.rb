# frozen_string_literal: true

require "date"
require "logger"
require "set"
require "socket"
require "stringio"
require_relative "helper"

# What vectors do not say: Ruby's own ways.
class ClientTest < Minitest::Test
  include Helper

  SMS = { to: "+14155550123", body: "The cart closes tonight." }.freeze

  def test_secrets_are_never_shown
    log = StringIO.new
    caller = client(transport({ body: '{"data": []}' }), logger: Logger.new(log))
    page = caller.contacts.list(phone: "+14155550123")
    hook = MassiveSMS::Webhook.from("id" => "whk_1", "secret" => "whsec_1b0c8a9e7f")
    shown = [caller, caller.contacts, page, page.last_response, hook].map { |each| "#{each.inspect} #{each}" }.join + log.string

    [MassiveSMS::Testing::KEY, "4155550123", "whsec_1b0c8a9e7f"].each { |secret| refute_includes shown, secret }
    assert_includes log.string, "GET /v1/contacts: 200 at attempt 1"
    assert_equal "whsec_1b0c8a9e7f", hook.secret
  end

  def test_the_response_is_there_also_where_it_fails
    given = { status: 402, headers: { "X-Request-Id" => "req_1", "Idempotent-Replayed" => "true" }, body: '{"error": {}}' }
    error = assert_raises(MassiveSMS::PaymentRequiredError) do
      client(transport(given)).messages.create(**SMS, request_options: { idempotency_key: "order-1" })
    end

    assert_equal [402, "req_1", "order-1", given[:body]],
                 [error.status, error.request_id, error.idempotency_key, error.response.body]
    assert_predicate error.response, :replayed?
  end

  def test_a_result_has_its_response
    message = client(transport({ headers: { "X-Request-Id" => "req_1" }, body: '{"id": "msg_1", "new": 7}' })).messages.create(**SMS)

    assert_equal ["msg_1", 7, "req_1"], [message.id, message[:new], message.last_response.request_id]
    assert_match(/\A\h{8}-\h{4}-4\h{3}-[89ab]\h{3}-\h{12}\z/, message.last_response.idempotency_key)
  end

  def test_nil_is_not_unset
    sent = transport({})
    client(sent).contacts.update("con_1", first_name: nil, last_name: "Silva")

    assert_equal '{"first_name":null,"last_name":"Silva"}', sent.requests.first.body
  end

  def test_filters_are_lists_maps_and_times
    sent = transport({ body: '{"data": []}' })
    client(sent).messages.list(statuses: %w[failed skipped], metadata: { campaign: "cohort 06" },
                               created_at_gte: Time.at(1_777_680_000, in: "UTC"))
    query = URI.decode_www_form(URI(sent.requests.first.url).query).to_h

    assert_equal({ "statuses" => "failed,skipped", "metadata[campaign]" => "cohort 06",
                   "created_at[gte]" => "2026-05-02T00:00:00Z" }, query)
  end

  def test_a_page_that_is_short_goes_on_from_its_cursor
    sent = transport({ body: '{"has_more": true, "data": [], "next_cursor": "msg_5"}' },
                     { body: '{"has_more": false, "data": [{"id": "msg_1"}]}' })

    assert_equal ["msg_1"], client(sent).messages.list.auto_paging_each.map(&:id)
    assert_includes sent.requests.last.url, "starting_after=msg_5"
  end

  def test_collections_are_sent_as_what_they_hold
    sent = transport({}, { body: '{"data": []}' })
    contact = MassiveSMS::Contact.from("id" => "con_1", "attributes" => { "tier" => "vip" })
    client(sent).contacts.update("con_1", attributes: { ids: Set["a", "b"], each: [1, 2].each, like: contact, day: Date.new(2026, 5, 1) })
    client(sent).messages.list(statuses: Set["sent", "failed"])

    assert_equal({ "ids" => %w[a b], "each" => [1, 2], "like" => contact.to_h, "day" => "2026-05-01" },
                 JSON.parse(sent.requests.first.body)["attributes"])
    assert_includes sent.requests.last.url, "statuses=sent%2Cfailed"
    [Object.new, Float::NAN, Float::INFINITY].each do |value|
      assert_raises(MassiveSMS::ConfigurationError) { client(sent).contacts.update("con_1", attributes: { a: value }) }
    end
    assert_equal 2, sent.requests.size
  end

  def test_headers_of_a_call_replace_the_clients_and_never_the_key
    sent = transport({})
    given = { "authorization" => "Bearer other", "user-agent" => "mine", "content-type" => "text/plain", :"X-Trace" => "1" }
    client(sent).messages.create(**SMS, request_options: { headers: given })
    headers = sent.requests.first.headers

    assert_equal ["Bearer #{MassiveSMS::Testing::KEY}", "application/json", "mine", "1"],
                 headers.values_at("Authorization", "Content-Type", "user-agent", "X-Trace")
    assert_equal headers.size, headers.keys.map(&:downcase).uniq.size
  end

  def test_times_and_counts_that_cannot_be_are_refused
    sent = transport
    [{ timeout: 0 }, { timeout: Float::INFINITY }, { timeout: "5" }, { deadline: -1 }, { max_retries: -1 }, { max_retries: 1.5 }].each do |wrong|
      assert_raises(MassiveSMS::ConfigurationError) { client(sent, **wrong) }
      assert_raises(MassiveSMS::ConfigurationError) { client(sent).credits.retrieve(request_options: wrong) }
    end
    [{ timeout: nil }, { connect_timeout: 0 }].each { |wrong| assert_raises(MassiveSMS::ConfigurationError) { client(sent, **wrong) } }
    assert_empty sent.requests
  end

  def test_a_longer_attempt_has_its_time
    [[{}, 3], [{ timeout: 200 }, 4], [{ timeout: 200, deadline: 60 }, 2]].each do |settings, attempts|
      now = 0.0
      sent = transport(*Array.new(6) { { status: 429, headers: { "Retry-After" => "50" }, body: "{}" } })
      caller = client(sent, max_retries: 5, clock: -> { now }, sleeper: ->(seconds) { now += seconds }, **settings)

      assert_equal attempts, assert_raises(MassiveSMS::RateLimitError) { caller.credits.retrieve }.attempts
    end
  end

  def test_what_is_not_known_is_refused_before_anything_is_sent
    sent = transport
    assert_raises(ArgumentError) { client(sent).messages.create(**SMS, form: "X") }
    assert_raises(MassiveSMS::ConfigurationError) { client(sent).messages.create(**SMS, request_options: { retries: 1 }) }
    ["", "a\nb", "é", "x" * 256].each do |key|
      assert_raises(MassiveSMS::ConfigurationError) { client(sent).messages.create(**SMS, request_options: { idempotency_key: key }) }
    end
    assert_empty sent.requests
  end

  def test_a_parsed_body_is_refused_with_what_to_do
    error = assert_raises(MassiveSMS::ConfigurationError) do
      MassiveSMS::Webhooks.construct_event({ "id" => "evt_1" }, "t=1,v1=x", "whsec_x")
    end

    assert_includes error.message, "request.raw_post in Rails"
  end

  def test_models_are_loaded_when_they_are_needed
    script = 'require "massivesms"; puts $LOADED_FEATURES.grep(/massivesms/).map { |path| File.basename(path) }.join(" ")'
    loaded = IO.popen([RbConfig.ruby, "-I#{File.expand_path("../lib", __dir__)}", "-e", script], &:read)

    assert_equal "massivesms.rb models_index.rb", loaded.split.sort.join(" ")
  end

  def test_one_connection_serves_many_requests_also_of_other_threads
    server = Server.new { |_, socket| reply(socket, '{"id": "msg_1"}') }
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url)
    3.times { caller.messages.create(**SMS) }
    Thread.new { caller.messages.create(**SMS) }.join

    assert_equal [4, 1], [server.requests.size, server.connections]
    caller.close
    caller.messages.create(**SMS)

    assert_equal 2, server.connections
  ensure
    server.stop
  end

  def test_a_connection_that_was_closed_meanwhile_is_opened_again
    closed = Queue.new
    server = Server.new do |count, socket|
      reply(socket, %({"id": "msg_#{count}"}))
      next if count > 1

      socket.close
      closed.push(true)
    end
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url, max_retries: 0)

    assert_equal "msg_1", caller.messages.create(**SMS).id
    closed.pop

    assert_equal "msg_2", caller.messages.create(**SMS).id
  ensure
    server.stop
  end

  def test_a_cut_is_an_attempt_also_over_a_connection_that_is_kept
    server = Server.new { |count, socket| count == 1 ? reply(socket, '{"id": "msg_1"}') : socket.close }
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url, max_retries: 0)
    caller.messages.create(**SMS)

    assert_raises(MassiveSMS::APIConnectionError) { caller.messages.create(**SMS) }
    assert_equal 2, server.requests.size
  ensure
    server.stop
  end

  def test_a_child_opens_connections_of_its_own
    server = Server.new { |_, socket| reply(socket, '{"id": "msg_1"}') }
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url)
    caller.messages.create(**SMS)
    Process.wait(fork { exit!(caller.messages.create(**SMS).id == "msg_1") })

    assert_predicate $?, :success?
    caller.messages.create(**SMS)

    assert_equal [3, 2], [server.requests.size, server.connections]
  ensure
    server.stop
  end

  # stripe-ruby #850: thousands of sockets in CLOSE_WAIT.
  def test_connections_that_nobody_uses_are_closed
    server = Server.new { |_, socket| reply(socket, '{"id": "msg_1"}') }
    wire = Aged.new
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url, transport: wire)
    wire.together = 4
    Array.new(4) { Thread.new { caller.messages.create(**SMS) } }.each(&:join)
    wire.together = 0

    assert_equal [4, 4], [server.connections, wire.idle.size]
    wire.age = 25
    caller.messages.create(**SMS)

    assert_equal 1, wire.idle.size
  ensure
    server.stop
  end

  # Net::HTTP reads http_proxy also for HTTPS, and not https_proxy.
  def test_the_proxy_of_https_is_the_environments
    wire = MassiveSMS::NetHTTPTransport.new
    kept = ENV.to_h.slice("https_proxy", "http_proxy", "no_proxy")
    ENV.update("https_proxy" => "http://me:p%40ss@proxy.example.com:8080", "http_proxy" => "http://other.example.com", "no_proxy" => "direct.example.com")
    there = URI("https://203.0.113.9/v1")

    assert_equal ["proxy.example.com", 8080, "me", "p@ss"], wire.send(:proxy_of, there)
    assert_equal [nil], wire.send(:proxy_of, URI("https://direct.example.com/"))
    assert_equal [nil], MassiveSMS::NetHTTPTransport.new(proxy: nil).send(:proxy_of, there)
    assert_equal "own.example.com", MassiveSMS::NetHTTPTransport.new(proxy: "http://own.example.com:1").send(:proxy_of, there).first
  ensure
    %w[https_proxy http_proxy no_proxy].each { |name| ENV[name] = kept[name] }
  end

  def test_a_cut_answer_is_tried_again_with_its_key
    server = Server.new do |count, socket|
      next reply(socket, '{"id": "msg_1"}') if count > 1

      socket.write("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\": \"msg_")
      socket.close
    end
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url, sleeper: ->(_) {})

    assert_equal "msg_1", caller.messages.create(**SMS).id
    keys = server.requests.map { |request| request[/^Idempotency-Key: (.*)\r$/i, 1] }

    assert_equal [2, 1], [keys.size, keys.uniq.size]
  ensure
    server.stop
  end

  def test_nothing_is_waited_for_longer_than_the_time_of_an_attempt
    server = Server.new { |_, _| sleep }
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url, max_retries: 0, timeout: 0.05)
    error = assert_raises(MassiveSMS::APITimeoutError) { caller.messages.create(**SMS) }

    refute_nil error.idempotency_key
  ensure
    server.stop
  end

  def test_a_redirect_is_not_followed
    server = Server.new { |_, socket| socket.write("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n") }
    caller = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: server.url)

    assert_equal 302, assert_raises(MassiveSMS::APIStatusError) { caller.credits.retrieve }.status
    assert_equal 1, server.requests.size
  ensure
    server.stop
  end

  # A transport whose connections age at once, and which can wait until so many are in use together.
  class Aged < MassiveSMS::NetHTTPTransport
    attr_writer :age, :together

    def idle = @idle.values.flatten(1)

    private

    def now = super + (@age || 0)

    def answer(*)
      @met ||= Queue.new
      @met.push(true)
      Thread.pass until @met.size >= @together
      super
    end
  end

  private

  def reply(socket, body) = socket.write("HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\n\r\n#{body}")

  # Answers each request on loopback as its block says.
  class Server
    attr_reader :requests, :connections

    def initialize(&answer)
      @requests = []
      @connections = 0
      @listener = TCPServer.new("127.0.0.1", 0)
      @answer = answer
      @threads = [Thread.new { accept }]
    end

    def url = "http://127.0.0.1:#{@listener.addr[1]}"

    def stop
      @threads.each(&:kill)
      @listener.close
    end

    private

    def accept
      loop do
        socket = @listener.accept
        @connections += 1
        @threads << Thread.new { serve(socket) }
      end
    end

    def serve(socket)
      until socket.closed? || (head = socket.gets("\r\n\r\n")).nil?
        socket.read(head[/^Content-Length: (\d+)/i, 1].to_i)
        @requests << head
        @answer.call(@requests.size, socket)
      end
    rescue IOError, SystemCallError
      nil
    end
  end
end
