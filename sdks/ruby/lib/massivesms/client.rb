# frozen_string_literal: true

require "json"
require "securerandom"
require "time"
require "uri"
require "zlib"
require "massivesms/errors"
require "massivesms/transport"

module MassiveSMS
  # The service as one API key sees it. Any number of threads may use one client.
  class Client
    include Resources

    DEFAULT_BASE_URL = "https://api.massivesms.com"
    FIRST_DELAY = 0.5
    LONGEST_DELAY = 8.0
    LONGEST_WAIT = 60
    LONGEST_JITTER = 0.5
    LONGEST_CALL = 120
    LONGEST_TIME = 86_400
    # What the caller's headers do not replace.
    OWN_HEADERS = %w[authorization content-type idempotency-key msvs-retry-count].freeze
    OPTIONS = %i[idempotency_key timeout deadline max_retries headers].freeze
    FAILURES = [SystemCallError, SocketError, IOError, OpenSSL::SSL::SSLError, Net::HTTPBadResponse,
                Net::HTTPHeaderSyntaxError, Net::ProtocolError, Zlib::Error].freeze
    BASE62 = [*"0".."9", *"A".."Z", *"a".."z"].join.freeze
    private_constant :FIRST_DELAY, :LONGEST_DELAY, :LONGEST_WAIT, :LONGEST_JITTER, :LONGEST_CALL, :LONGEST_TIME,
                     :OWN_HEADERS, :OPTIONS, :FAILURES, :BASE62

    # @return [String] where the service answers
    attr_reader :base_url

    # @param api_key [String, nil] read from MASSIVESMS_API_KEY where it is nil
    # @param base_url [String, nil] read from MASSIVESMS_BASE_URL where it is nil; https except on loopback
    # @param max_retries [Integer] how often a request is tried again
    # @param timeout [Numeric] seconds that one attempt may take
    # @param deadline [Numeric, nil] seconds that all attempts and the waits between them may take together; where it is
    #   nil, 120, or as long as a longer timeout
    # @param connect_timeout [Numeric] seconds to open a connection
    # @param transport [#call, nil] what sends requests in place of Net::HTTP
    # @param logger [Logger, nil] told one line per attempt, without keys, phones and texts
    # @param app_info [String, nil] name and version of your application, such as "Cohort/1.2"
    # @param clock [#call, nil] seconds that only grow, for tests
    # @param sleeper [#call, nil] what waits between attempts, for tests
    def initialize(api_key: nil, base_url: nil, max_retries: 2, timeout: 30, deadline: nil, connect_timeout: 5,
                   transport: nil, logger: nil, app_info: nil, clock: nil, sleeper: nil)
      @api_key = check_key(api_key || ENV.fetch("MASSIVESMS_API_KEY", ""))
      @base_url = check_base_url(base_url || ENV.fetch("MASSIVESMS_BASE_URL", DEFAULT_BASE_URL))
      @max_retries = max_retries
      @timeout = timeout
      @deadline = deadline
      check_times(timeout, deadline || timeout, max_retries)
      check_times(connect_timeout, timeout, max_retries)
      @transport = transport || NetHTTPTransport.new(connect_timeout: connect_timeout)
      @logger = logger
      @user_agent = user_agent(app_info)
      @clock = clock || -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
      @sleeper = sleeper || ->(seconds) { sleep(seconds) }
    end

    # @return [Boolean] whether the key sends real messages; a sandbox key does not
    def livemode? = @api_key.start_with?("msvs_live_")

    # Close connections that are kept; the client may be used again.
    def close = @transport.respond_to?(:close) ? @transport.close : nil

    # Describe the client without its key.
    def inspect = "#<MassiveSMS::Client #{@base_url} livemode: #{livemode?}>"
    alias to_s inspect

    # Make a request, also one that this version does not know, and return its answer.
    #
    # @param http_method [String] GET, POST or DELETE
    # @param path [String] such as /v1/credits
    # @return [Response]
    def request(http_method, path, query: {}, body: nil, request_options: {})
      options = options_of(request_options)
      key = http_method == "GET" ? nil : key_of(options)
      sent = Request.new(http_method: http_method, url: url_of(path, query), headers: headers_of(body, key, options),
                         body: body && JSON.generate(Values.json(body)))
      attempts(sent, path, key, options)
    end

    private

    # Send a request until it is answered, or may not or cannot be tried again.
    def attempts(sent, path, key, options)
      timeout = options.fetch(:timeout, @timeout)
      ends = @clock.call + (options.fetch(:deadline, @deadline) || [LONGEST_CALL, timeout].max)
      retries = options.fetch(:max_retries, @max_retries)
      (1..).each do |attempt|
        sent.headers["MSVS-Retry-Count"] = (attempt - 1).to_s if attempt > 1
        outcome = attempt(sent, path, key, attempt, [timeout, ends - @clock.call].min)
        return outcome if outcome.is_a?(Response)

        wait = attempt <= retries ? wait_after(outcome, attempt) : nil
        raise outcome if wait.nil? || @clock.call + wait >= ends

        @sleeper.call(wait)
      end
    end

    # Return the answer of one attempt, or its failure.
    def attempt(sent, path, key, attempt, timeout)
      response = @transport.call(sent, timeout: timeout)
      response.idempotency_key = key
      response.attempts = attempt
      log("#{sent.http_method} #{path}: #{response.status} at attempt #{attempt}, #{response.request_id}")
      return APIStatusError.of(response, hide: @api_key) unless response.ok?

      readable?(response.body) ? response : unreadable(response)
    rescue APITimeoutError => e
      log("#{sent.http_method} #{path}: no answer at attempt #{attempt}")
      APITimeoutError.new("No answer after #{attempt} attempts: #{e.message}", idempotency_key: key, attempts: attempt)
    rescue *FAILURES => e
      log("#{sent.http_method} #{path}: no answer at attempt #{attempt}")
      APIConnectionError.new("No answer after #{attempt} attempts: #{e.class}", idempotency_key: key, attempts: attempt)
    end

    def readable?(body)
      JSON.parse(body).is_a?(Hash)
    rescue JSON::ParserError, EncodingError
      false
    end

    def unreadable(response)
      text = "The answer (status #{response.status}, request #{response.request_id}) cannot be read"
      error = InvalidResponseError.new(text, idempotency_key: response.idempotency_key, attempts: response.attempts)
      error.response = response
      error
    end

    # Return the seconds to wait after a failure, or nil where the same request cannot succeed later.
    def wait_after(failure, attempt)
      backoff = [FIRST_DELAY * (2**(attempt - 1)), LONGEST_DELAY].min * (0.5 + (rand / 2))
      return backoff if failure.is_a?(APIConnectionError)
      return unless retriable?(failure)
      return backoff if failure.retry_after.nil?

      failure.retry_after <= LONGEST_WAIT ? failure.retry_after + (rand * LONGEST_JITTER) : nil
    end

    # Other conflicts than a key in use are facts.
    def retriable?(failure)
      return failure.code == "idempotency_key_in_use" if failure.status == 409

      [408, 429].include?(failure.status) || (500..504).cover?(failure.status)
    end

    def options_of(given)
      unknown = given.keys - OPTIONS
      raise ConfigurationError, "request_options has unknown #{unknown.join(", ")}" unless unknown.empty?

      given.compact.tap do |set|
        timeout = set.fetch(:timeout, @timeout)
        check_times(timeout, set.fetch(:deadline, timeout), set.fetch(:max_retries, @max_retries))
      end
    end

    def check_times(timeout, deadline, max_retries)
      times = [timeout, deadline].all? { |each| each.is_a?(Numeric) && each.positive? && each <= LONGEST_TIME }
      raise ConfigurationError, "Times are seconds: more than 0, and #{LONGEST_TIME} at most" unless times
      return if max_retries.is_a?(Integer) && !max_retries.negative?

      raise ConfigurationError, "max_retries is an Integer of 0 or more"
    end

    def key_of(options)
      key = options.fetch(:idempotency_key) { SecureRandom.uuid }.to_s
      return key if key.match?(/\A[ -~]{1,255}\z/)

      raise ConfigurationError, "An idempotency key has 1 to 255 printable ASCII characters"
    end

    def headers_of(body, key, options)
      given = options.fetch(:headers, {}).transform_keys(&:to_s).reject { |name, _| OWN_HEADERS.include?(name.downcase) }
      names = given.keys.map(&:downcase)
      headers = { "Accept" => "application/json", "User-Agent" => @user_agent }
      headers = headers.reject { |name, _| names.include?(name.downcase) }.merge(given)
      headers["Authorization"] = "Bearer #{@api_key}"
      headers["Content-Type"] = "application/json" if body
      headers["Idempotency-Key"] = key if key
      headers
    end

    def url_of(path, query)
      set = Values.pairs(query).map { |name, value| "#{Values.escape(name)}=#{Values.escape(value)}" }
      set.empty? ? @base_url + path : "#{@base_url}#{path}?#{set.join("&")}"
    end

    def log(line) = @logger&.info("massivesms: #{line}")

    def user_agent(app_info)
      own = "massivesms-ruby/#{VERSION} (ruby #{RUBY_VERSION}; #{RUBY_PLATFORM})"
      app_info ? "#{own} #{app_info.gsub(/[^!-~ ]|[()]/, "-")}" : own
    end

    def check_key(key)
      raise ConfigurationError, "No API key: pass api_key: or set MASSIVESMS_API_KEY" if key.empty?

      found = /\Amsvs_(?:live|test)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})\z/.match(key)
      raise ConfigurationError, "The API key is malformed: it is msvs_live_ or msvs_test_ and 36 more" if found.nil?
      return key if checksum(found[1]) == found[2]

      raise ConfigurationError, "The API key is not whole: its checksum does not fit"
    end

    def checksum(text)
      number = Zlib.crc32(text)
      Array.new(6) { BASE62[number % 62].tap { number /= 62 } }.reverse.join
    end

    def check_base_url(text)
      uri = URI(text)
      plain = uri.is_a?(URI::HTTP) && uri.hostname && !uri.userinfo && !uri.query && !uri.fragment
      raise ConfigurationError, "The base URL is not an absolute URL such as #{DEFAULT_BASE_URL}" unless plain
      return text.sub(%r{/+\z}, "") if uri.scheme == "https" || loopback?(uri.hostname)

      raise ConfigurationError, "The base URL must start with https://; http:// is for loopback alone"
    rescue URI::InvalidURIError
      raise ConfigurationError, "The base URL is not a URL"
    end

    def loopback?(host) = host == "localhost" || host == "::1" || host.match?(/\A127(?:\.[0-9]{1,3}){3}\z/)
  end

  # Values as they are sent.
  module Values
    module_function

    # Return a value as JSON has it: times with their offsets, and nothing of what is unset.
    # @raise [ConfigurationError] where it would be written as what it is not
    def json(value)
      case value
      when nil, true, false, String, Symbol, Integer then value
      when Hash then value.reject { |_, each| UNSET.equal?(each) }.transform_values { |each| json(each) }
      when Model then json(value.to_h)
      when Time then value.subsec.zero? ? value.iso8601 : value.iso8601(3)
      when Float then value.finite? ? value : refuse(value)
      when Enumerable then value.map { |each| json(each) }
      else value.respond_to?(:iso8601) ? value.iso8601 : refuse(value)
      end
    end

    def refuse(value)
      raise ConfigurationError, value.is_a?(Float) ? "A number is finite" : "A #{value.class} cannot be sent"
    end

    # Return the parameters of a query as texts: a list with commas, and of a Hash one for each of its keys.
    def pairs(query)
      query.compact.flat_map do |name, value|
        case value
        when Hash then value.map { |key, each| ["#{name}[#{key}]", text(each)] }
        when String, Model then [[name.to_s, text(value)]]
        when Enumerable then [[name.to_s, value.map { |each| text(each) }.join(",")]]
        else [[name.to_s, text(value)]]
        end
      end
    end

    # Return a value of a query as text.
    def text(value) = json(value).to_s

    # Escape all but what a URL has as it is.
    def escape(text) = URI.encode_www_form_component(text.to_s.encode(Encoding::UTF_8)).gsub("+", "%20")

    # Put escaped ids into a path.
    def path(format, ids)
      ids.reduce(format) do |path, (name, id)|
        text = id.to_s
        raise ConfigurationError, "#{name} is not an id: it is #{text.empty? ? "empty" : text}" if ["", ".", ".."].include?(text)

        path.sub("{#{name}}") { escape(text) }
      end
    end
  end
end
