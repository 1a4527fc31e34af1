# frozen_string_literal: true

require "logger"
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
